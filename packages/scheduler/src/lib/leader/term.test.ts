import { manualClock, type ManualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { SmallBroker } from '../fixtures/small-broker.fixture.ts'
import { SmallWorker, turns } from '../fixtures/small-worker.fixture.ts'
import { createCrontab } from '../jobs/create-jobs.ts'
import type { Job } from '../jobs/job.ts'
import { decodeJobRecord, encodeJobRecord, type JobRecord } from './job-record.ts'

const NOON = Date.parse('2026-06-01T12:00:00Z')
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

class World {
  readonly clock: ManualClock = manualClock({ now: NOON })
  readonly broker: SmallBroker = new SmallBroker()
  readonly ran: string[] = []

  worker(id: string): SmallWorker {
    return new SmallWorker({ clock: this.clock, id, broker: this.broker })
  }

  minutely(id: string, options: { readonly catchUp?: 'all'; readonly name?: string } = {}): Job {
    return createCrontab('* * * * *', { name: 'minutely', onLeader: true, ...options }, ({ slot }) => {
      this.ran.push(`${id} ${slot.toISOString().slice(11, 19)}`)
    })
  }

  async noted(record: JobRecord): Promise<void> {
    const [key, value] = [Buffer.from('minutely'), encodeJobRecord(record)]
    await this.broker.append({ topic: 'app-__scheduler', partition: 0, key, value, headers: [], timestamp: 0 })
  }

  last(): JobRecord | undefined {
    const value = this.broker.records.findLast(({ key }) => key?.toString() === 'minutely')?.value
    return value === null || value === undefined ? undefined : decodeJobRecord(value, 'minutely')
  }
}

const RECORD: JobRecord = { by: 'zero', life: 'life', upToMs: NOON, open: [], runs: 7, last: undefined }

test('a leader’s record of a job keeps what earlier leaders recorded', async () => {
  const world = new World()
  await world.noted({ ...RECORD, upToMs: NOON - MINUTE_MS, open: [NOON - MINUTE_MS] })
  const one = world.worker('one')
  await one.run([world.minutely('one')])
  one.lead('other life')
  await turns()
  expect(world.ran).toEqual(['one 11:59:00'])
  // The run had begun and been counted by then.
  expect(world.last()).toMatchObject({ by: 'one', life: 'other life', open: [], runs: 7 })
  await world.clock.advance('1m')
  // The slot of 12:00 came during that run, and runs of this job do not overlap.
  expect(world.ran.slice(1)).toEqual(['one 12:01:00'])
  expect(world.last()).toMatchObject({ by: 'one', upToMs: NOON + MINUTE_MS, open: [], runs: 8 })
})

test('a slot recorded under a clock far ahead does not prevent the job from running', async () => {
  const world = new World()
  await world.noted({ ...RECORD, upToMs: NOON + 400 * DAY_MS })
  const one = world.worker('one')
  await one.run([world.minutely('one')])
  one.lead()
  await world.clock.advance('1m')
  expect(world.ran).toEqual(['one 12:01:00'])
  expect(world.last()).toMatchObject({ runs: 8, upToMs: NOON + MINUTE_MS })
})

test('a slot recorded under a clock up to a day ahead is waited for', async () => {
  const world = new World()
  await world.noted({ ...RECORD, upToMs: NOON + DAY_MS })
  const one = world.worker('one')
  await one.run([world.minutely('one')])
  one.lead()
  await world.clock.advance('2m')
  expect(world.ran).toEqual([])
})

test('a term that ends while it opens its log leaves no producer open, and runs nothing', async () => {
  for (const end of ['lost', 'resigned'] as const) {
    const world = new World()
    const one = world.worker('one')
    await one.run([world.minutely('one')])
    let opened = (): void => {}
    world.broker.beforeInit = () => new Promise((resolve) => (opened = resolve))
    const lead = one.lead()
    await turns()
    expect(world.broker.openProducers).toBe(1)
    if (end === 'lost') lead.lose()
    else await one.stop()
    opened()
    await turns()
    expect(world.broker.openProducers).toBe(0)
    await world.clock.advance('2m')
    expect(world.ran).toEqual([])
    expect(one.logged.filter(({ level }) => level === 'warn')).toEqual([])
    expect(one.failure).toBeUndefined()
  }
})

test('opening the log is retried with growing delays, until the lead is lost', async () => {
  const world = new World()
  const one = world.worker('one')
  await one.run([world.minutely('one')])
  let tries = 0
  world.broker.beforeInit = () => {
    tries++
    throw new Error('no transactions now')
  }
  const lead = one.lead()
  await turns()
  expect(tries).toBe(1)
  await world.clock.advance('1s')
  const within = tries
  expect(within).toBeGreaterThan(2)
  await world.clock.advance('1s')
  expect(tries - within).toBeLessThan(within)
  await world.clock.advance('20s')
  expect(tries).toBeLessThan(15)
  expect(one.logged.filter(({ level }) => level === 'warn')).toHaveLength(tries)
  expect(one.logged.at(-1)?.message).toContain('What ran could not be read from app-__scheduler')
  lead.lose()
  const lost = tries
  await world.clock.advance('10m')
  expect(tries).toBe(lost)
  expect(world.broker.openProducers).toBe(0)
  expect(one.failure).toBeUndefined()
})

test('a term opens one log at a time and closes the last one when it ends', async () => {
  const world = new World()
  const one = world.worker('one')
  await one.run([world.minutely('one')])
  const lead = one.lead()
  let failures = 3
  world.broker.beforeCommit = () => {
    if (failures-- > 0) throw new Error('connection lost')
  }
  await world.clock.advance('2m')
  expect(world.ran).toEqual(['one 12:01:00', 'one 12:02:00'])
  expect(world.broker.openProducers).toBe(1)
  lead.lose()
  await turns()
  expect(world.broker.openProducers).toBe(0)
})

test('records once that a job has begun, and logs if the lead is lost before that', async () => {
  const world = new World()
  const one = world.worker('one')
  await one.run([world.minutely('one', { catchUp: 'all' })])
  let lead = one.lead()
  await turns()
  expect(world.last()).toEqual({ by: 'one', life: 'life', upToMs: NOON, open: [], runs: 0, last: undefined })
  lead.lose()
  lead = one.lead()
  await turns()
  expect(world.broker.records).toHaveLength(1)
  lead.lose()

  const other = new World()
  const two = other.worker('two')
  await two.run([other.minutely('two', { catchUp: 'all' })])
  const first = two.lead()
  other.broker.beforeCommit = () => {
    first.lose()
    throw new Error('connection lost')
  }
  await turns()
  expect(other.broker.records).toEqual([])
  expect(two.logged).toContainEqual(
    expect.objectContaining({ level: 'debug', message: expect.stringContaining('could not be noted') }),
  )
  expect(two.failure).toBeUndefined()
})

test('ignores bytes that are not a record, and records that lack a field', () => {
  expect(decodeJobRecord(Buffer.from('{'), 'job')).toBeUndefined()
  const whole = { v: 1, ...RECORD }
  expect(decodeJobRecord(Buffer.from(JSON.stringify(whole)), 'job')).toEqual(RECORD)
  for (const field of ['v', 'by', 'life', 'upToMs', 'open', 'runs'])
    expect(decodeJobRecord(Buffer.from(JSON.stringify({ ...whole, [field]: undefined })), 'job')).toBeUndefined()
})
