import { manualClock } from '@millrace/core'
import type { PartitionOffsets } from '@millrace/core/driver'
import { expect, test } from 'vitest'
import { NOT_NOW } from '../environment/not-now.ts'
import { silentLog, testSettings } from '../fixtures/test-worker.fixture.ts'
import { FlowControl } from './flow-control.ts'
import { SourcePartition, type SourceReader } from './source-partition.ts'

/** A partition, with a reader that stops it and lets it go on. */
function flowing() {
  const clock = manualClock()
  const calls: string[] = []
  const asked: PartitionOffsets = { topic: 't', partition: 0, beginning: 0, end: 10 }
  const broker = { end: 10, questions: 0 }
  const flow: FlowControl = new FlowControl(
    { clock, log: silentLog, settings: testSettings },
    { pause: () => void calls.push('pause'), resume: () => void calls.push('resume') },
    {
      offsets: async () => {
        broker.questions++
        return [{ ...asked, end: broker.end }]
      },
    },
  )
  const source = new SourcePartition({ topic: 't', partition: 0 }, 0, flow)
  const reader: SourceReader & { blocked: number } = { batchIndex: 0, blocked: 0, arrived: () => {} }
  source.attach(reader)
  flow.add(source)
  const block = (blocked: number): void => {
    reader.blocked = blocked
    flow.settle(source)
  }
  return { clock, calls, broker, flow, source, block }
}

test('a partition of which too much is uncommitted is paused, whatever else holds it back, until that is over', () => {
  const { calls, flow, source, block } = flowing()
  block(NOT_NOW.deferred)
  expect([calls, flow.pauseReason(source)]).toEqual([[], undefined])
  block(NOT_NOW.uncommitted | NOT_NOW.empty)
  block(NOT_NOW.uncommitted)
  expect([calls, flow.pauseReason(source)]).toEqual([['pause'], 'uncommitted'])
  block(NOT_NOW.empty)
  expect([calls, flow.pauseReason(source)]).toEqual([['pause', 'resume'], undefined])
  flow.close()
})

test('ends of paused partitions are asked for while there are any, and not otherwise', async () => {
  const { clock, broker, flow, source, block } = flowing()
  block(NOT_NOW.uncommitted)
  await clock.advance(5000)
  expect([broker.questions, source.endOffset]).toEqual([1, 10])
  broker.end = 70
  await clock.advance(5000)
  expect([broker.questions, source.endOffset]).toEqual([2, 70])
  block(0)
  await clock.advance(60_000)
  expect(broker.questions).toBe(2)
  block(NOT_NOW.uncommitted)
  flow.close()
  await clock.advance(60_000)
  expect(broker.questions).toBe(2)
})
