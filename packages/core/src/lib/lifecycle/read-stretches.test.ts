import { expect, test } from 'vitest'
import { partitionsOf, type RawRecord, type RecordBatch, type TopicPartition } from '../../contracts/record.ts'
import type { PartitionOffsets } from '../../contracts/admin.ts'
import type { Reader } from '../../contracts/transport.ts'
import { manualClock } from '../time/manual-clock.ts'
import { deferred, type Deferred } from './promises.ts'
import { readStretches, readToEnd } from './read-stretches.ts'

/** One topic whose partitions hold the offsets from 10 to 19, ten records each; it gives two at a time. */
class SmallReader implements Reader {
  closed = false
  readonly #positions = new Map<number, number>()
  readonly #closing: Deferred<void> = deferred<void>()

  assign({ partition }: TopicPartition, offset: number): void {
    this.#positions.set(partition, offset)
  }

  unassign({ partition }: TopicPartition): void {
    this.#positions.delete(partition)
  }

  async offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]> {
    return partitions.map((partition) => ({ ...partition, beginning: 10, end: 20 }))
  }

  async *batches(): AsyncGenerator<RecordBatch> {
    for (;;) {
      const [next] = [...this.#positions].filter(([, position]) => position < 20)
      if (next === undefined) return await this.#closing.promise
      const [partition, position] = next
      const nextOffset = Math.min(position + 2, 20)
      this.#positions.set(partition, nextOffset)
      const records = Array.from({ length: nextOffset - position }, (_, i) => recordAt(position + i))
      yield { topic: 'posts', partition, position, records, nextOffset, bytes: 0, endOffset: 20 }
    }
  }

  async close(): Promise<void> {
    this.closed = true
    this.#closing.resolve()
  }
}

function recordAt(offset: number): RawRecord {
  return { offset, timestamp: 0, key: null, value: null, headers: [] }
}

test('reads each partition to its end and closes the reader', async () => {
  const reader = new SmallReader()
  const stretches = [
    { topic: 'posts', partition: 0, start: 10, end: 13 },
    { topic: 'posts', partition: 1, start: 18, end: 20 },
    { topic: 'posts', partition: 2, start: 15, end: 15 },
  ]
  const read: [number, number][] = []
  for await (const { partition, nextOffset } of readStretches(reader, stretches, { clock: manualClock() }))
    read.push([partition, nextOffset])
  expect(read).toEqual([
    [0, 12],
    [0, 14],
    [1, 20],
  ])
  expect(reader.closed).toBe(true)
})

test('reads from the beginning, or from the given offsets, to the current ends', async () => {
  const partitions = partitionsOf('posts', 2)
  const clock = manualClock()
  const positions: number[] = []
  const from = ({ partition }: PartitionOffsets): number => (partition === 0 ? 0 : 19)
  for await (const { position, beginning } of readToEnd(new SmallReader(), partitions, { clock, from })) {
    positions.push(position)
    expect(beginning).toBe(10)
  }
  expect(positions).toEqual([10, 12, 14, 16, 18, 19])
  expect(clock.pending()).toBe(0)
})

test('30 s without a record before the end are an error; without an end they are not', async () => {
  const clock = manualClock()
  const limited = collect(
    readStretches(new SmallReader(), [{ topic: 'posts', partition: 0, start: 18, end: 30 }], { clock }),
  )
  const endless = new SmallReader()
  const following = collect(
    readStretches(endless, [{ topic: 'posts', partition: 0, start: 18, end: Infinity }], { clock }),
  )
  const silence = 'Nothing came from topic "posts" for 30 s'
  const refused = expect(limited).rejects.toMatchObject({ code: 'TIMEOUT', message: expect.stringContaining(silence) })
  await clock.advance('29s')
  expect(clock.pending()).toBe(1)
  await clock.advance('1s')
  await refused
  await clock.advance('1h')
  const ended = expect(following).rejects.toMatchObject({ code: 'CLOSED' })
  await endless.close()
  await ended
})

test("an aborted signal ends it with the signal's reason, also while it waits", async () => {
  const reader = new SmallReader()
  const controller = new AbortController()
  const limits = { clock: manualClock(), signal: controller.signal }
  const waiting = collect(readStretches(reader, [{ topic: 'posts', partition: 0, start: 18, end: 30 }], limits))
  const ended = expect(waiting).rejects.toThrow('enough')
  await limits.clock.advance('1s')
  controller.abort(new Error('enough'))
  await ended
  expect(reader.closed).toBe(true)
  await expect(collect(readToEnd(new SmallReader(), partitionsOf('posts', 1), limits))).rejects.toThrow('enough')
})

async function collect(batches: AsyncIterable<RecordBatch>): Promise<number> {
  let count = 0
  for await (const { records } of batches) count += records.length
  return count
}
