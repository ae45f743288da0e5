import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import type { AddressInfo } from 'node:net'

/** A service that charges once for each idempotency key, as Stripe does: it answers a repeated request as it did the first. */
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
    void charge(request).finally(() => response.end())
  })
  const charge = async (request: IncomingMessage): Promise<void> => {
    requests++
    const key = String(request.headers['idempotency-key'])
    const body = await text(request)
    if (!charges.has(key)) charges.set(key, body)
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
