import { manualClock, type ManualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { SmallBroker } from '../fixtures/small-broker.fixture.ts'
import { Lead, SmallWorker, turns } from '../fixtures/small-worker.fixture.ts'
import { createCrontab, createTask, createTimer } from '../jobs/create-jobs.ts'
import { encodePause, pauseKey } from '../pauses/pause.ts'
import { decodeJobRecord, encodeJobRecord } from './job-record.ts'
import { Term } from './term.ts'

const NOON = Date.parse('2026-06-01T12:00:00Z')

class World {
  readonly clock: ManualClock = manualClock({ now: NOON })
  readonly broker: SmallBroker = new SmallBroker()

  worker(id: string): SmallWorker {
    return new SmallWorker({ clock: this.clock, id, broker: this.broker })
  }

  /** The record of another leader. */
  async noted(job: string, upToMs: number): Promise<void> {
    const value = encodeJobRecord({ by: 'zero', life: 'life', upToMs, open: [], runs: 1, last: undefined })
    await this.broker.append({
      topic: 'app-__scheduler',
      partition: 0,
      key: Buffer.from(job),
      value,
      headers: [],
      timestamp: 0,
    })
  }
}

test('reading the log again within a term does not restart timetables', async () => {
  const world = new World()
  const one = world.worker('one')
  let end = (): void => {}
  const scheduler = await one.run([
    createCrontab('* * * * *', { name: 'long', onLeader: true, catchUp: 'all' }, () => {
      return new Promise<void>((resolve) => (end = resolve))
    }),
    createTimer('30s', { name: 'other', onLeader: true }, () => {}),
  ])
  one.lead()
  await world.clock.advance('2m')
  expect(scheduler.jobs()[0]).toMatchObject({ name: 'long', active: 1, skipped: 1 })
  world.broker.beforeCommit = () => {
    world.broker.beforeCommit = () => {}
    throw new Error('connection lost')
  }
  await world.clock.advance('31s')
  expect(one.logged.some(({ level }) => level === 'warn')).toBe(true)
  expect(scheduler.jobs()[0]).toMatchObject({ active: 1, skipped: 1, queued: 0 })
  end()
  await turns()
  expect(scheduler.jobs()[0]).toMatchObject({ active: 0, runs: 1 })
})

test('only jobs with catchUp are recorded before they run', async () => {
  const world = new World()
  const one = world.worker('one')
  await one.run([
    createCrontab('* * * * *', { name: 'none', onLeader: true }, () => {}),
    createCrontab('* * * * *', { name: 'latest', onLeader: true, catchUp: 'latest' }, () => {}),
    createTimer('1m', { name: 'timer', onLeader: true }, () => {}),
  ])
  one.lead()
  await turns()
  expect(world.broker.records.map(({ key }) => String(key))).toEqual(['latest'])
})

test('a worker that has never led resigns at once; one that loses an earlier lead keeps the current one', async () => {
  const world = new World()
  const one = world.worker('one')
  let runs = 0
  await one.run([createCrontab('* * * * *', { name: 'minutely', onLeader: true }, () => void runs++)])
  const first = one.lead()
  await turns()
  const second = one.lead()
  await turns()
  first.lose()
  await world.clock.advance('1m')
  expect(runs).toBe(1)
  await one.stop(second)

  const two = world.worker('two')
  await two.run([createCrontab('* * * * *', { name: 'minutely', onLeader: true }, () => {})])
  await two.stop()
})

test('a task runs in its own slot: now, or after all recorded slots', async () => {
  for (const upToMs of [undefined, NOON - 1, NOON + 5000]) {
    const world = new World()
    if (upToMs !== undefined) await world.noted('seed', upToMs)
    const one = world.worker('one')
    const slots: number[] = []
    await one.run([createTask({ name: 'seed', onLeader: true }, ({ slot }) => void slots.push(slot.getTime()))])
    one.lead('another life')
    await turns()
    expect(slots).toEqual([Math.max(NOON, (upToMs ?? 0) + 1)])
  }
})

test('does not count slots without catchUp as skipped', async () => {
  const world = new World()
  await world.noted('hourly', NOON - 5 * 3_600_000)
  const one = world.worker('one')
  const scheduler = await one.run([createCrontab('30 * * * *', { name: 'hourly', onLeader: true }, () => {})])
  one.lead()
  await turns()
  expect(scheduler.jobs()[0]).toMatchObject({ skipped: 0, runs: 0, state: 'scheduled' })
})

test('nothing begins before past runs are read, even if the worker becomes ready in the meantime', async () => {
  const world = new World()
  await world.noted('seed', NOON - 1)
  const one = world.worker('one')
  let runs = 0
  let opened = (): void => {}
  world.broker.beforeInit = () => new Promise((resolve) => (opened = resolve))
  const beforeReady = async (): Promise<void> => {
    one.lead()
    await turns()
  }
  const scheduler = await one.run([createTask({ name: 'seed', onLeader: true }, () => void runs++)], { beforeReady })
  expect(scheduler.jobs()[0]?.state).toBe('waiting-for-leader')
  opened()
  await turns()
  expect(runs).toBe(0)
  expect(scheduler.jobs()[0]?.state).toBe('finished')
})

test('a leader asks the group before it reads again, but not before the first read', async () => {
  for (const fails of ['open', 'write'] as const) {
    const world = new World()
    const one = world.worker('one')
    await one.run([createTimer('10s', { name: 'tick', onLeader: true }, () => {})])
    const failOnce = (): void => {
      world.broker.beforeInit = world.broker.beforeCommit = () => {}
      throw new Error('connection lost')
    }
    if (fails === 'open') world.broker.beforeInit = failOnce
    else world.broker.beforeCommit = failOnce
    const lead = one.lead()
    await turns()
    expect(lead.confirms).toBe(0)
    await world.clock.advance('15s')
    expect(lead.confirms).toBe(1)
  }
})

test('the record lists all current runs, and each end removes its own', async () => {
  const world = new World()
  const one = world.worker('one')
  const ends: (() => void)[] = []
  await one.run([
    createCrontab('* * * * *', { name: 'long', onLeader: true, overlap: 'allow' }, () => {
      return new Promise<void>((resolve) => void ends.push(resolve))
    }),
  ])
  one.lead()
  const noted = (): unknown => {
    const value = world.broker.records.at(-1)?.value
    return value === null || value === undefined ? undefined : decodeJobRecord(value, 'long')
  }
  await world.clock.advance('1m')
  const [first, second] = [NOON + 60_000, NOON + 120_000]
  expect(noted()).toEqual({ by: 'one', life: 'life', upToMs: first, open: [first], runs: 1, last: undefined })
  await world.clock.advance('1m')
  expect(noted()).toMatchObject({ upToMs: second, open: [first, second], runs: 2 })
  ends[0]?.()
  await turns()
  const last = { slotMs: first, startedAtMs: first, durationMs: 60_000, result: 'done' }
  expect(noted()).toMatchObject({ upToMs: second, open: [second], runs: 2, last })
})

function termOn(world: World, id: string): Term {
  const worker = world.worker(id)
  const leadership = new Lead(world.broker, 'life')
  const term = new Term({ worker, topic: 'app-__scheduler', leadership, random: () => 0.5, onOpened: () => {} })
  void term.run()
  return term
}

test('a slot recorded before this term is not claimed again, whoever recorded it', async () => {
  for (const id of ['zero', 'one']) {
    const world = new World()
    await world.noted('job', NOON)
    const term = termOn(world, id)
    expect(await term.claim('job', NOON)).toBe(false)
    expect(await term.claim('job', NOON + 1)).toBe(true)
    await term.resign()
  }
})

test('within a term slots are claimed in any order, even after its log was read again', async () => {
  const world = new World()
  const term = termOn(world, 'one')
  expect(await term.claim('job', NOON + 2)).toBe(true)
  world.broker.beforeCommit = () => {
    world.broker.beforeCommit = () => {}
    throw new Error('connection lost')
  }
  const claim = term.claim('job', NOON + 1)
  await world.clock.advance('1s')
  expect(await claim).toBe(true)
  await term.resign()
})

test('a leader suspended between its claim and the run continues if the group still knows it', async () => {
  const world = new World()
  const one = world.worker('one')
  let runs = 0
  await one.run([createCrontab('* * * * *', { name: 'minutely', onLeader: true }, () => void runs++)])
  const lead = one.lead()
  await turns()
  world.broker.afterCommit = () => {
    world.broker.afterCommit = () => {}
    lead.expired = true
  }
  await world.clock.advance('1m')
  expect(runs).toBe(0)
  lead.regain()
  await turns()
  expect(runs).toBe(1)
})

test('rows about pauses do not count as runs', async () => {
  const world = new World()
  const value = encodePause({ sinceMs: 1, untilMs: 2, earlier: [] })
  const key = Buffer.from(pauseKey({ kind: 'job', name: 'minutely' }))
  await world.broker.append({ topic: 'app-__scheduler', partition: 0, key, value, headers: [], timestamp: 0 })
  const one = world.worker('one')
  await one.run([createCrontab('* * * * *', { name: 'minutely', onLeader: true }, () => {})])
  one.lead()
  await turns()
  expect(one.logged.filter(({ level }) => level === 'warn')).toEqual([])
})
