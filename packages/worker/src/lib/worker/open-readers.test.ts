import { systemClock } from '@millrace/core'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { Outside, silentLog } from '../fixtures/test-worker.fixture.ts'
import { OpenReaders } from './open-readers.ts'

test('a closed reader is forgotten, and an open one is closed with its worker', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 3, partitions: 1 })
  const readers = new OpenReaders(createMemoryTransport(log, { clock: systemClock(), log: silentLog }))
  const left = readers.open('read-committed')
  for (let term = 0; term < 10; term++) {
    const reader = readers.open('read-committed')
    expect(readers.size).toBe(2)
    await reader.close()
    await reader.close()
  }
  expect(readers.size).toBe(1)
  const source = { topic: 'in', partition: 0 }
  expect(await left.offsets([source])).toEqual([{ ...source, beginning: 0, end: 3 }])
  left.assign(source, 1)
  const positions: number[] = []
  for await (const { position, nextOffset } of left.batches()) {
    positions.push(position, nextOffset)
    await readers.close()
  }
  expect(positions).toEqual([1, 3])
  expect(readers.size).toBe(0)
})
