import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { type Clock, systemClock } from '@millrace/core'
import { APIS, type Api } from './wire/wire-request.ts'
import { WireReader } from './wire/wire-reader.ts'
import { WireWriter } from './wire/wire-writer.ts'

/** Reads the body of a request and writes that of its answer; `'lost'` closes the connection instead. */
export type Answering = (request: WireReader, answer: WireWriter) => void | 'lost'

export interface ScriptedBroker extends AsyncDisposable {
  readonly nodeId: number
  readonly address: string
  readonly port: number
}

const SIZE_BYTES = 4

/** A broker on its own port that gives a test's answers, in the bytes of Kafka's protocol. */
export async function scriptedBroker(
  nodeId: number,
  script: Partial<Record<keyof typeof APIS, Answering>>,
): Promise<ScriptedBroker> {
  const sockets = new Set<Socket>()
  const answerTo = (apiKey: number): readonly [Api, Answering] => {
    const [name, api] = Object.entries(APIS).find(([, { key }]) => key === apiKey) ?? []
    const answering = Object.entries(script).find(([one]) => one === name)?.[1]
    if (api !== undefined && answering !== undefined) return [api, answering]
    // What kafkajs begins each connection with.
    return [{ name: 'ApiVersions', key: apiKey, version: 0 }, (_, answer) => answerVersions(answer)]
  }
  const server = createServer((socket) => {
    sockets.add(socket)
    let waiting = Buffer.alloc(0)
    // A connection that a test closes, or that ends with it, is not a failure of the broker.
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket))
    socket.on('data', (bytes: Buffer) => {
      waiting = Buffer.concat([waiting, bytes])
      while (waiting.length >= SIZE_BYTES && waiting.length >= SIZE_BYTES + waiting.readInt32BE(0)) {
        const end = SIZE_BYTES + waiting.readInt32BE(0)
        const request = new WireReader(waiting.subarray(0, end), SIZE_BYTES)
        waiting = waiting.subarray(end)
        const [api, answering] = answerTo(request.int16())
        request.int16()
        const answer = new WireWriter().int32(request.int32())
        request.string()
        if (api.flexible === true) {
          request.skipTags()
          answer.noTags()
        }
        if (answering(request, answer) === 'lost') return void socket.destroy()
        const body = answer.bytes()
        socket.write(Buffer.concat([new WireWriter().int32(body.length).bytes(), body]))
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The broker has no port.')
  const { port } = address
  return {
    nodeId,
    port,
    address: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function answerVersions(answer: WireWriter): void {
  answer.int16(0).array(Object.values(APIS), ({ key, version }) => answer.int16(key).int16(0).int16(version))
  answer.int32(0)
}

/** All partitions of one topic on one broker. */
export function answerMetadata(
  answer: WireWriter,
  brokers: readonly ScriptedBroker[],
  topics: readonly { readonly name: string; readonly partitions: number }[] = [],
): void {
  const [leader] = brokers
  answer.int32(0).compactArray(brokers, ({ nodeId, port }) => {
    answer.int32(nodeId).compactString('127.0.0.1').int32(port).compactString(null).noTags()
  })
  answer.compactString('cluster').int32(leader?.nodeId ?? -1)
  answer.compactArray(topics, ({ name, partitions }) => {
    answer.int16(0).compactString(name).raw(Buffer.alloc(16)).boolean(false)
    answer.compactArray([...Array(partitions).keys()], (partition) => {
      answer
        .int16(0)
        .int32(partition)
        .int32(leader?.nodeId ?? -1)
        .int32(0)
      for (const nodes of [[1], [1], []]) answer.compactArray(nodes, (node) => answer.int32(node))
      answer.noTags()
    })
    answer.int32(0).noTags()
  })
  answer.int32(0).noTags()
}

/** The machine's clock, with sleeps that are a hundred times shorter. */
export function impatientClock(): Clock {
  const clock = systemClock()
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    elapsedSince: (ms) => clock.elapsedSince(ms),
    cpuTime: () => clock.cpuTime(),
    schedule: (delayMs, fn) => clock.schedule(delayMs, fn),
    sleep: (delayMs, signal) => clock.sleep(delayMs / 100, signal),
  }
}
