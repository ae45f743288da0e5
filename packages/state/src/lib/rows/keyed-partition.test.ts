import { resolveCodec } from '@millrace/core'
import type { StorePartition } from '@millrace/core/driver'
import { beforeEach, expect, test } from 'vitest'
import { memoryStore } from '../memory/memory-store.ts'
import { KeyedPartition } from './keyed-partition.ts'
import { codecShape } from './row-shape.ts'

const store = memoryStore()
const shape = codecShape({
  where: 'state "texts"',
  keySpec: 'string',
  keyCodec: resolveCodec('string', 'key', 'texts'),
  valueSpec: 'string',
  valueCodec: resolveCodec('string', 'row', 'texts'),
  partitionBy: undefined,
  migrate: undefined,
})
let partition = 0
let stored: StorePartition
let changedBytes = 0
let texts: KeyedPartition<string>

beforeEach(async () => {
  partition++
  stored = await store.open('texts', partition)
  changedBytes = 0
  texts = new KeyedPartition(shape.rows, {
    task: { id: `9-${partition}`, partitions: 9, partition },
    store: stored,
    cacheBytes: 1_000_000,
    maxRowBytes: 1_000_000,
    freeze: false,
    countChanged: (bytes) => void (changedBytes += bytes),
  })
})

/** As a finished event does. */
function write(key: string, value: string): void {
  texts.put({ key: Buffer.from(key), value: Buffer.from(value) })
}

async function commit(): Promise<void> {
  await store.commit([{ partition: stored, rows: texts.takeRows(), checkpoint: undefined }])
  texts.rowsStored()
}

test('a row that is written again while a commit that fails has it goes out once with the next one, and counts once', () => {
  write('a', '1')
  texts.takeRows()
  write('a', '2')
  const once = changedBytes
  texts.rowsReturned()
  expect(changedBytes).toBe(once)
  expect(texts.takeRows()).toEqual([{ key: Buffer.from('a'), value: Buffer.from('2') }])
  texts.rowsStored()
  expect(changedBytes).toBe(0)
})

test('a row that grows before its commit counts as what it has become, until it is stored or given up', async () => {
  write('a', 'x')
  const small = changedBytes
  expect(small).toBeGreaterThan(0)
  write('a', 'x'.repeat(10_001))
  expect(changedBytes).toBe(small + 10_000)
  texts.takeRows()
  expect(changedBytes).toBe(small + 10_000)
  texts.rowsReturned()
  expect(changedBytes).toBe(small + 10_000)
  const rows = texts.takeRows()
  write('a', 'x')
  expect(changedBytes).toBe(small)
  await store.commit([{ partition: stored, rows, checkpoint: undefined }])
  texts.rowsStored()
  expect(changedBytes).toBe(small)
  await commit()
  expect(changedBytes).toBe(0)
  write('a', 'x'.repeat(5000))
  texts.close()
  expect(changedBytes).toBe(0)
})

test('a scan gives stored rows and those that are not stored yet in one order, each once', async () => {
  for (const key of ['b', 'd', 'f']) write(key, 'stored')
  await commit()
  for (const key of ['a', 'd', 'e', 'g']) write(key, 'changed')
  const found = [...texts.scan(undefined)].flat().map(([key, value]) => [key.toString(), value])
  expect(found).toEqual([
    ['a', 'changed'],
    ['b', 'stored'],
    ['d', 'changed'],
    ['e', 'changed'],
    ['f', 'stored'],
    ['g', 'changed'],
  ])
  expect(texts.rows).toBe(6)
})

test('rows that have left the worker are read no more', () => {
  write('a', '1')
  const reading = texts.scan(undefined)
  texts.close()
  expect(() => reading.next()).toThrow(
    expect.objectContaining({ code: 'PARTITION_NOT_LOCAL', message: expect.stringContaining('state "texts"') }),
  )
})
