import { manualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { outgoing, silentLog } from '../fixtures/test-worker.fixture.ts'
import { Delay, Delays } from './delays.ts'
import { Outgoing } from './outgoing.ts'
import { Epoch } from './epoch.ts'

const STUCK = { topic: 'out', partition: 2 }

/** A task that lists the partitions for which it waits. */
class DelayedTask {
  readonly id: string
  delays = 0

  constructor(id: string) {
    this.id = id
  }

  delayed(): void {
    this.delays++
  }

  delayOver(): void {
    this.delays--
  }
}

/** A delay of a task that waits for the partition. */
function delayOf(taskId: string): { readonly delay: Delay; readonly owner: DelayedTask } {
  const owner = new DelayedTask(taskId)
  const record = new Outgoing(outgoing('out', 2, 'k', 'v'), undefined)
  record.epoch = new Epoch(undefined, owner)
  return { delay: new Delay({ ...STUCK, reason: 'No leader.', outcomes: Promise.resolve([]) }, [record]), owner }
}

test('a partition that accepts records of one task again is still listed for another task that waits for its next attempt', async () => {
  const clock = manualClock()
  const errors: string[] = []
  const log = { ...silentLog, error: (_: object, message: string) => void errors.push(message) }
  const delays = new Delays({ clock, log, deliveryTimeoutMs: 1000 })
  const [one, other] = [delayOf('4-0'), delayOf('4-1')]
  delays.began(one.delay)
  delays.began(other.delay)
  await clock.advance(600)
  delays.ended(one.delay, true)
  expect([one.owner.delays, other.owner.delays]).toEqual([0, 1])
  // The partition has accepted something, so the time starts anew.
  expect(delays.stats).toMatchObject([{ ...STUCK, forMs: 0, overdue: false, tasks: ['4-1'] }])
  await clock.advance(600)
  expect(errors).toEqual([])
  await clock.advance(600)
  expect(errors).toEqual([
    expect.stringMatching(/out\/2 has accepted no records for 1000 ms .*Task 4-1 makes no progress/),
  ])
  delays.ended(other.delay, true)
  expect(delays.stats).toEqual([])
  delays.close()
})
