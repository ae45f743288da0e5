import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import type { AddressInfo } from 'node:net'

/**
 * A service that charges once for each idempotency key, as Stripe does, and answers a repeated request that it has been charged. Of
 * every tenth charge it says at first that it has failed.
 */
export interface Bank {
  readonly url: string
  /** What it has charged, by key. */
  readonly charges: ReadonlyMap<string, string>
  /** Requests, repeated ones too. */
  readonly requests: number
  close(): void
}

export async function openBank(): Promise<Bank> {
  const charges = new Map<string, string>()
  let requests = 0
  const server = createServer((request, response) => {
    void charge(request).then((status) => response.writeHead(status).end())
  })
  /** Gives the status of the answer. */
  const charge = async (request: IncomingMessage): Promise<number> => {
    requests++
    const key = String(request.headers['idempotency-key'])
    const body = await text(request)
    if (charges.has(key)) return 200
    charges.set(key, body)
    return charges.size % 10 === 0 ? 500 : 200
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    charges,
    get requests() {
      return requests
    },
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
