import { NO_HEADERS, type RawRecord, type RecordBatch } from '@millrace/core'
import { expect, test } from 'vitest'
import { NOT_NOW } from '../environment/not-now.ts'
import { SourcePartition, type SourceReader } from './source-partition.ts'

/** The bytes that a record costs beside its own. */
const OBJECT = 320

interface TestReader extends SourceReader {
  batchIndex: number
  blocked: number
  arrivals: number
}

function aReader(): TestReader {
  return {
    batchIndex: 0,
    blocked: 0,
    isDetached: false,
    restarted: () => {},
    arrivals: 0,
    arrived() {
      this.arrivals++
    },
  }
}

function aSource() {
  const changes: number[] = []
  const source = new SourcePartition({ topic: 't', partition: 3 }, 10, {
    bufferChanged: (_, bytes) => void changes.push(bytes),
  })
  return { source, changes }
}

function batch(position: number, count: number, bytes = 100): RecordBatch {
  const records = Array.from({ length: count }, (_, nth): RawRecord => ({
    offset: position + nth,
    timestamp: 0,
    key: null,
    value: null,
    headers: NO_HEADERS,
  }))
  return { topic: 't', partition: 3, position, records, nextOffset: position + count, bytes, endOffset: 50 }
}

test('a batch is held, and its bytes counted, until the slowest reader has passed it', () => {
  const { source, changes } = aSource()
  const [fast, slow] = [aReader(), aReader()]
  source.attach(fast)
  source.attach(slow)
  const batches = [batch(10, 1), batch(11, 2), batch(13, 3)]
  for (const one of batches) source.push(one)
  const kept = [100 + OBJECT, 100 + 2 * OBJECT, 100 + 3 * OBJECT] as const
  expect([fast.arrivals, slow.arrivals, changes]).toEqual([3, 3, kept])
  expect([source.position, source.endOffset, source.bytes]).toEqual([16, 50, 300 + 6 * OBJECT])
  fast.batchIndex = 3
  source.release()
  expect([source.bytes, changes.length]).toEqual([300 + 6 * OBJECT, 3])
  slow.batchIndex = 2
  source.release()
  expect([source.bytes, changes.at(-1)]).toEqual([kept[2], -kept[0] - kept[1]])
  expect([1, 2, 3].map((index) => source.batch(index))).toEqual([undefined, batches[2], undefined])
  slow.batchIndex = 3
  source.release()
  expect([source.bytes, changes.at(-1), source.batch(2)]).toEqual([0, -kept[2], undefined])
  const next = batch(16, 1)
  source.push(next)
  expect(source.batch(3)).toBe(next)
})

test('the slowest reader holds a batch, whichever reader came first', () => {
  const { source } = aSource()
  const readers = [3, 1, 2].map((batchIndex) => ({ ...aReader(), batchIndex }))
  for (const reader of readers) source.attach(reader)
  const batches = [batch(10, 1), batch(11, 1), batch(12, 1)]
  for (const one of batches) source.push(one)
  source.release()
  expect([0, 1, 2].map((index) => source.batch(index))).toEqual([undefined, batches[1], batches[2]])
})

test('a source without readers releases everything, and nothing twice', () => {
  const { source, changes } = aSource()
  source.push(batch(10, 1))
  source.release()
  source.release()
  expect([source.bytes, changes]).toEqual([0, [100 + OBJECT, -100 - OBJECT]])
})

test('a batch that does not begin where the one before it ended is refused, and changes nothing', () => {
  const { source, changes } = aSource()
  for (const position of [9, 11])
    expect(() => source.push(batch(position, 1))).toThrow(
      expect.objectContaining({
        code: 'POSITION_MISMATCH',
        message: expect.stringContaining(
          `t/3 holds offsets ${position} to ${position}, but the next offset to read is 10`,
        ),
      }),
    )
  expect([source.position, source.bytes, changes]).toEqual([10, 0, []])
})

test('the average size of a record follows the batches that have records', () => {
  const { source } = aSource()
  source.push(batch(10, 0, 7))
  expect(source.averageBytes).toBe(0)
  source.push(batch(10, 2, 200))
  expect(source.averageBytes).toBe(100)
  source.push(batch(12, 1, 200))
  expect(source.averageBytes).toBeCloseTo(120)
})

test('the reported end of the log never moves back', () => {
  const { source } = aSource()
  source.endSeen(0)
  expect(source.endOffset).toBe(0)
  source.endSeen(60)
  source.endSeen(55)
  expect(source.endOffset).toBe(60)
})

test('the reasons of all readers count', () => {
  const { source } = aSource()
  expect(source.readersBlocked).toBe(0)
  for (const reason of [NOT_NOW.empty, NOT_NOW.uncommitted]) source.attach({ ...aReader(), blocked: reason })
  expect(source.readersBlocked).toBe(NOT_NOW.empty | NOT_NOW.uncommitted)
})

test('the batches of a lost partition are released, and indexes continue after them', () => {
  const { source, changes } = aSource()
  source.push(batch(10, 1))
  source.push(batch(11, 1))
  source.clear()
  expect([source.bytes, source.batch(0), source.batch(1)]).toEqual([0, undefined, undefined])
  expect(changes.at(-1)).toBe(-2 * (100 + OBJECT))
  const next = batch(12, 1)
  source.push(next)
  expect([source.batch(0), source.batch(2), source.bytes]).toEqual([undefined, next, 100 + OBJECT])
})
