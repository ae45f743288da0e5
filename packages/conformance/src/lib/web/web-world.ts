import { connect, type Socket } from 'node:net'
import { systemClock } from '@millrace/core'
import type { ServeOptions, ServerTls, WebDriver, WebServer } from '@millrace/core/http'
import { eventually, within } from '../eventually.ts'

/** A served driver, and clients for it. */
export interface WebWorld {
  readonly server: WebServer
  readonly url: string
  /** Errors that the driver could report to no client. */
  readonly errors: readonly Error[]
  /** Opens a raw connection. */
  socket(): Promise<RawClient>
  close(): Promise<void>
}

/** A client that can send anything. */
export interface RawClient {
  readonly socket: Socket
  /** Everything received so far, byte for byte. */
  received(): string
  write(text: string): void
  /** Resolves with everything received when the connection has ended. */
  ended(): Promise<string>
  /** Resolves when the received bytes match. */
  until(pattern: RegExp): Promise<string>
}

export interface WorldOptions {
  readonly driver: WebDriver
  readonly fetch: ServeOptions['fetch']
  readonly idleMs?: number
  readonly connections?: number
  readonly tls?: ServerTls
}

export const HEADER_BYTES = 16_384

export async function openWorld({
  driver,
  fetch,
  idleMs = 30_000,
  connections = 1000,
  tls,
}: WorldOptions): Promise<WebWorld> {
  const errors: Error[] = []
  const server = await driver.serve({
    fetch,
    address: { host: '127.0.0.1', port: 0 },
    limits: { headerBytes: HEADER_BYTES, idleMs, connections },
    tls,
    clock: systemClock(),
    onError: (error) => void errors.push(error),
  })
  const clients: RawClient[] = []
  return {
    server,
    url: `${server.scheme}://127.0.0.1:${server.port}`,
    errors,
    async socket() {
      const client = await openClient(server.port)
      clients.push(client)
      return client
    },
    async close() {
      for (const { socket } of clients) socket.destroy()
      await within(server.close(0), { what: 'the server to close' })
    },
  }
}

async function openClient(port: number): Promise<RawClient> {
  const socket = connect({ host: '127.0.0.1', port })
  let text = ''
  let isEnded = false
  socket.setEncoding('latin1')
  socket.on('data', (chunk) => (text += String(chunk)))
  // A reset counts as an end.
  socket.on('error', () => (isEnded = true))
  socket.on('close', () => (isEnded = true))
  await within(new Promise((resolve) => socket.once('connect', resolve)), { what: 'a connection' })
  return {
    socket,
    received: () => text,
    write: (data) => void socket.write(data, 'latin1'),
    async ended() {
      await eventually(() => isEnded, {
        what: `the connection to end; it has given ${JSON.stringify(text.slice(0, 200))}`,
      })
      return text
    },
    until: (pattern) => eventually(() => pattern.test(text) && text, { what: `${pattern} on the connection` }),
  }
}
