import { once } from 'node:events'
import { createServer, connect, type Socket } from 'node:net'
import { LateRequest } from './late-request.ts'

/** Where a connection is cut. */
export type Disconnect =
  /** Half of the next request reaches the broker. */
  | 'request'
  /** The next request reaches the broker, its answer does not reach the client. */
  | 'before answer'
  /** Half of the next answer reaches the client. */
  | 'answer'

/** A TCP proxy in front of a broker, which loses connections and keeps requests back when told to. */
export interface FaultyProxy {
  readonly port: number
  /** Where connections go from now on. */
  target(port: number): void
  /** Cuts each open connection at its next request. */
  disconnect(where: Disconnect): void
  /** Keeps back the next produce request that holds this text, with all that follows it on its connection. */
  hold(text: string): LateRequest
  /** Connections cut so far. */
  readonly disconnects: number
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly broker: Socket
  disconnect: Disconnect | undefined
  /** Set when the request has passed whose answer is to be cut. */
  armed: boolean
}

/** Listens on a free port of 127.0.0.1. */
export async function faultyProxy(): Promise<FaultyProxy> {
  const pairs = new Set<Pair>()
  const holdings: LateRequest[] = []
  let targetPort = 0
  let disconnects = 0

  const end = (pair: Pair): void => {
    pairs.delete(pair)
    pair.client.destroy()
    // What is on its way arrives, whether anybody waits for its answer or not.
    if (!holdings.some((holding) => holding.keeps(pair.broker))) pair.broker.destroy()
  }
  const cutOff = (pair: Pair, last: { readonly to: Socket; readonly bytes: Buffer } | undefined): void => {
    disconnects++
    pair.disconnect = undefined
    if (last === undefined || last.bytes.length === 0) return end(pair)
    last.to.write(last.bytes, () => end(pair))
  }
  const fromClient = (pair: Pair, bytes: Buffer): void => {
    if (holdings.some((holding) => holding.keep(pair.broker, bytes))) return
    if (pair.disconnect === 'request') return cutOff(pair, { to: pair.broker, bytes: half(bytes) })
    pair.armed = pair.disconnect !== undefined
    pair.broker.write(bytes)
  }
  const fromBroker = (pair: Pair, bytes: Buffer): void => {
    for (const holding of holdings) holding.heard(pair.broker)
    if (pair.client.destroyed) return void pair.broker.destroy()
    if (pair.armed && pair.disconnect === 'before answer') return cutOff(pair, undefined)
    if (pair.armed && pair.disconnect === 'answer') return cutOff(pair, { to: pair.client, bytes: half(bytes) })
    pair.client.write(bytes)
  }

  const server = createServer((client) => {
    const broker = connect(targetPort, '127.0.0.1')
    const pair: Pair = { client, broker, disconnect: undefined, armed: false }
    pairs.add(pair)
    client.setNoDelay(true)
    broker.setNoDelay(true)
    client.on('data', (bytes: Buffer) => fromClient(pair, bytes))
    broker.on('data', (bytes: Buffer) => fromBroker(pair, bytes))
    for (const socket of [client, broker]) {
      socket.on('close', () => end(pair))
      // A socket that fails closes as well.
      socket.on('error', () => end(pair))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.')
  return {
    port: address.port,
    target: (port) => void (targetPort = port),
    disconnect: (where) => {
      for (const pair of pairs) pair.disconnect = where
    },
    hold: (text) => {
      const holding = new LateRequest(text)
      holdings.push(holding)
      return holding
    },
    get disconnects() {
      return disconnects
    },
    close: async () => {
      for (const holding of holdings) holding.drop()
      for (const pair of pairs) end(pair)
      await new Promise((closed) => server.close(closed))
    },
  }
}

function half(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.length >> 1)
}
