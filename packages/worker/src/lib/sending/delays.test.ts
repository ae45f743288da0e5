import { manualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { outgoing, silentLog } from '../fixtures/test-worker.fixture.ts'
import { Delay, Delays } from './delays.ts'
import { Epoch } from './epoch.ts'
import { Outgoing } from './outgoing.ts'

const STUCK = { topic: 'out', partition: 2 }

/** A record of a task that waits for the partition. */
function delayOf(taskId: string): { readonly delay: Delay; readonly owner: { taskId: string; delays: number } } {
  const owner = { taskId, delays: 0 }
  const record = new Outgoing(outgoing('out', 2, 'k', 'v'), undefined)
  record.epoch = new Epoch(undefined, owner)
  return { delay: new Delay({ ...STUCK, reason: 'No leader.', outcomes: Promise.resolve([]) }, [record]), owner }
}

test('a partition that takes records of one task again is still named for another that waits for its next try', async () => {
  const clock = manualClock()
  const errors: string[] = []
  const log = { ...silentLog, error: (_: object, message: string) => void errors.push(message) }
  const delays = new Delays({ clock, log, deliveryTimeoutMs: 1000, onOver: () => {} })
  const [one, other] = [delayOf('4-0'), delayOf('4-1')]
  delays.began(one.delay)
  delays.began(other.delay)
  await clock.advance(600)
  delays.ended(one.delay, true)
  expect([one.owner.delays, other.owner.delays]).toEqual([0, 1])
  // It has taken something: the time counts anew.
  expect(delays.stats).toMatchObject([{ ...STUCK, forMs: 0, overdue: false, tasks: ['4-1'] }])
  await clock.advance(600)
  expect(errors).toEqual([])
  await clock.advance(600)
  expect(errors).toEqual([expect.stringMatching(/out\/2 has taken no records for 1000 ms .*Task 4-1 stands still/)])
  delays.ended(other.delay, true)
  expect(delays.stats).toEqual([])
  delays.close()
})
