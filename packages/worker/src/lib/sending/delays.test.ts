import { manualClock, type ManualClock } from '@millrace/core'
import { describe, expect, test } from 'vitest'
import { outgoing, silentLog } from '../fixtures/test-worker.fixture.ts'
import { Delay, Delays } from './delays.ts'
import { Outgoing } from './outgoing.ts'
import { Epoch } from './epoch.ts'

const STUCK = { topic: 'out', partition: 2 }
const TIMEOUT_MS = 1000

/** A task that counts the partitions for which it waits. */
class DelayedTask {
  readonly id: string
  readonly epoch: Epoch
  delays = 0

  constructor(id: string) {
    this.id = id
    this.epoch = new Epoch(undefined, this)
  }

  delayed(): void {
    this.delays++
  }

  delayOver(): void {
    this.delays--
  }

  record(): Outgoing {
    const record = new Outgoing(outgoing('out', 2, 'k', 'v'), undefined)
    record.epoch = this.epoch
    return record
  }
}

/** A record of a sender outside of tasks. */
function outside(): Outgoing {
  return new Outgoing(outgoing('out', 2, 'k', 'v'), undefined)
}

function delayWith(records: readonly Outgoing[], reason = 'No leader.'): Delay {
  return new Delay({ ...STUCK, reason, outcomes: Promise.resolve([]) }, records)
}

/** A delay of a task that waits for the partition. */
function delayOf(taskId: string): { readonly delay: Delay; readonly owner: DelayedTask } {
  const owner = new DelayedTask(taskId)
  return { delay: delayWith([owner.record()]), owner }
}

interface Site {
  readonly clock: ManualClock
  readonly delays: Delays
  readonly errors: { readonly fields: object; readonly message: string }[]
  readonly infos: string[]
  woken: number
}

function site(): Site {
  const clock = manualClock()
  const [errors, infos]: [Site['errors'], string[]] = [[], []]
  const log = {
    ...silentLog,
    error: (fields: object, message: string) => void errors.push({ fields, message }),
    info: (_: object, message: string) => void infos.push(message),
  }
  const handOut = { wake: () => void made.woken++ }
  const delays = new Delays({ clock, log, deliveryTimeoutMs: TIMEOUT_MS, handOut })
  const made: Site = { clock, delays, errors, infos, woken: 0 }
  return made
}

describe('a delay', () => {
  test('holds up each task once, however many of its records wait, until it ends', () => {
    const [one, other] = [new DelayedTask('4-1'), new DelayedTask('4-0')]
    const delay = delayWith([one.record(), one.record()])
    delay.add(one.record())
    delay.add(other.record())
    delay.add(other.record())
    expect([one.delays, other.delays, delay.tasks]).toEqual([1, 1, ['4-0', '4-1']])
    expect([delay.sent.length, delay.waiting.length]).toEqual([2, 3])
    delay.end()
    expect([one.delays, other.delays]).toEqual([0, 0])
  })

  test('names no lost task, and counts the bytes that belong to none', () => {
    const task = new DelayedTask('4-1')
    const lost = new DelayedTask('4-2')
    const delay = delayWith([task.record(), lost.record(), outside()])
    const { size } = outside()
    expect(delay.outsideBytes).toBe(size)
    delay.add(outside())
    expect(delay.outsideBytes).toBe(2 * size)
    lost.epoch.abandon(new Error('Lost.'))
    expect(delay.tasks).toEqual(['4-1'])
    const ownerless = outside()
    ownerless.epoch = new Epoch()
    expect(delayWith([ownerless])).toMatchObject({ tasks: [], outsideBytes: 0 })
    expect(delay.tooMuch()).toMatchObject({
      code: 'PARTITION_UNAVAILABLE',
      detail: `out/2 accepts no records at present, and ${2 * size} bytes wait for it already. No leader.`,
    })
  })
})

test('a partition that accepts records of one task again is still listed for another task that waits for its next attempt', async () => {
  const { clock, delays, errors } = site()
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
  expect(errors.map(({ message }) => message)).toEqual([
    expect.stringMatching(/out\/2 has accepted no records for 1000 ms .*Task 4-1 makes no progress/),
  ])
  delays.ended(other.delay, true)
  expect(delays.stats).toEqual([])
  expect(clock.pending()).toBe(0)
})

test('a partition that accepts nothing for too long is reported once, with its tasks, and again when it recovers', async () => {
  const { clock, delays, errors, infos } = site()
  const [one, other] = [delayOf('4-1'), delayOf('4-0')]
  delays.began(one.delay)
  await clock.advance(TIMEOUT_MS - 1)
  delays.began(other.delay)
  expect(delays.stats).toEqual([
    { ...STUCK, reason: 'No leader.', forMs: TIMEOUT_MS - 1, overdue: false, tasks: ['4-0', '4-1'] },
  ])
  expect(errors).toEqual([])
  await clock.advance(1)
  await clock.advance(5 * TIMEOUT_MS)
  expect(errors).toEqual([
    {
      fields: { ...STUCK, tasks: ['4-0', '4-1'], reason: 'No leader.' },
      message: expect.stringContaining('Tasks 4-0, 4-1 make no progress'),
    },
  ])
  expect(delays.stats).toMatchObject([{ forMs: 6 * TIMEOUT_MS, overdue: true }])
  expect(infos).toEqual([])
  delays.ended(other.delay, false)
  expect([infos, delays.stats.length]).toEqual([[], 1])
  delays.ended(one.delay, true)
  expect(infos).toEqual(['out/2 accepts records again.'])
  expect([delays.stats, clock.pending()]).toEqual([[], 0])
})

test('a partition that recovers in time is not reported', async () => {
  const here = site()
  const { clock, delays, errors, infos } = here
  const { delay } = delayOf('4-0')
  delays.began(delay)
  await clock.advance(TIMEOUT_MS - 1)
  delays.ended(delay, true)
  expect(here.woken).toBe(1)
  await clock.advance(5 * TIMEOUT_MS)
  expect([errors, infos]).toEqual([[], []])
})

test('sends outside of tasks are reported without a task', async () => {
  const { clock, delays, errors } = site()
  delays.began(delayWith([outside()]))
  await clock.advance(TIMEOUT_MS)
  expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('Sends wait for it.')])
  delays.close()
  expect([delays.stats, clock.pending()]).toEqual([[], 0])
})

test('records that are sent anew do not restart the count, unless none waited for as long as a time-out', async () => {
  const { clock, delays, errors } = site()
  const [first, second, third] = [delayOf('4-0').delay, delayOf('4-0').delay, delayOf('4-0').delay]
  delays.began(first)
  await clock.advance(900)
  delays.ended(first, false)
  expect(delays.stats).toEqual([])
  // Nothing waits while it is checked.
  await clock.advance(200)
  expect(errors).toEqual([])
  delays.began(second)
  expect(delays.stats).toMatchObject([{ forMs: 1100, overdue: false }])
  // The next check is a time-out after the last one.
  await clock.advance(899)
  expect(errors).toEqual([])
  await clock.advance(1)
  expect(errors).toHaveLength(1)
  delays.ended(second, false)
  // Idle since 2000: forgotten at 3000.
  await clock.advance(TIMEOUT_MS)
  expect(clock.pending()).toBe(0)
  delays.began(third)
  expect(delays.stats).toMatchObject([{ forMs: 0, overdue: false }])
  delays.close()
})

test('a delay that nobody knows of ends, too, and other partitions are not touched', async () => {
  const here = site()
  const { delays } = here
  const { delay, owner } = delayOf('4-0')
  const other = new Delay({ topic: 'out', partition: 3, reason: 'No.', outcomes: Promise.resolve([]) }, [])
  delays.began(other)
  delays.ended(delay, true)
  expect([owner.delays, here.woken, delays.stats.length]).toEqual([0, 1, 1])
  delays.close()
})
