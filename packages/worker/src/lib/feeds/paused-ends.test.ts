import { manualClock, type PartitionOffsets } from '@millrace/core'
import { expect, test } from 'vitest'
import { silentLog } from '../fixtures/test-worker.fixture.ts'
import { PausedEnds } from './paused-ends.ts'
import { SourcePartition } from './source-partition.ts'

test('ends of paused partitions are asked for while there are any, and not otherwise', async () => {
  const clock = manualClock()
  const source = new SourcePartition({ topic: 't', partition: 0 }, 0, { bufferChanged: () => {} })
  let paused: readonly SourcePartition[] = [source]
  let end = 10
  let asked = 0
  const offsets = async (): Promise<readonly PartitionOffsets[]> => {
    asked++
    return [{ topic: 't', partition: 0, beginning: 0, end }]
  }
  const ends = new PausedEnds({ clock, log: silentLog, isolation: 'read-committed', paused: () => paused, offsets })
  ends.start()
  ends.start()
  await clock.advance(5000)
  expect([asked, source.endOffset]).toEqual([1, 10])
  end = 70
  await clock.advance(5000)
  expect([asked, source.endOffset]).toEqual([2, 70])
  paused = []
  await clock.advance(60_000)
  expect(asked).toBe(2)
  paused = [source]
  ends.start()
  ends.close()
  await clock.advance(60_000)
  expect(asked).toBe(2)
})
