import { manualClock, type ManualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { SmallBroker } from '../fixtures/small-broker.fixture.ts'
import { SmallWorker, turns } from '../fixtures/small-worker.fixture.ts'
import { createCrontab, createTask, createTimer } from '../jobs/create-jobs.ts'
import type { Job, JobContext } from '../jobs/job.ts'

const NOON = new Date('2026-06-01T12:00:00Z')

/** Several workers on one broker and one clock; `ran` has the worker and time of every run begun. */
class World {
  readonly clock: ManualClock = manualClock({ now: NOON })
  readonly broker: SmallBroker = new SmallBroker()
  readonly ran: string[] = []

  worker(id: string): SmallWorker {
    return new SmallWorker({ clock: this.clock, id, broker: this.broker })
  }

  note(id: string): (context: JobContext) => void {
    return ({ slot }) => void this.ran.push(`${id} ${slot.toISOString().slice(11, 19)}`)
  }

  minutely(id: string): Job {
    return createCrontab('* * * * *', { name: 'minutely', onLeader: true }, this.note(id))
  }
}

/** Returns only when it is aborted. */
function endless({ signal }: JobContext): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

test('jobs of the leader wait without a leader, and the view says so; local jobs run', async () => {
  const world = new World()
  const worker = world.worker('one')
  const scheduler = await worker.run([world.minutely('one'), createTimer('1m', { name: 'local' }, world.note('local'))])
  await world.clock.advance('1m')
  expect(world.ran).toEqual(['local 12:01:00'])
  expect(scheduler.jobs()).toMatchObject([
    { name: 'minutely', state: 'waiting-for-leader', nextRun: undefined },
    { state: 'scheduled' },
  ])
  expect(worker.topics).toMatchObject([
    { name: 'app-__scheduler', partitions: 1, config: { 'cleanup.policy': 'compact' } },
  ])
  await expect(scheduler.trigger('minutely')).rejects.toMatchObject({ code: 'NOT_LEADER' })
})

test('only the leader runs jobs, and the next leader continues after the last slot run', async () => {
  const world = new World()
  const [one, two] = [world.worker('one'), world.worker('two')]
  await one.run([world.minutely('one')])
  const second = await two.run([world.minutely('two')])
  const lead = one.lead()
  await world.clock.advance('2m')
  lead.lose()
  await world.clock.advance('30s')
  two.lead()
  await turns()
  expect(second.jobs()[0]).toMatchObject({ state: 'scheduled', nextRun: new Date('2026-06-01T12:03:00Z') })
  await world.clock.advance('1m')
  expect(world.ran).toEqual(['one 12:01:00', 'one 12:02:00', 'two 12:03:00'])
})

test('a slot between two leaders runs if it is less than a minute late', async () => {
  const world = new World()
  const [one, two] = [world.worker('one'), world.worker('two')]
  const hourly = (id: string): Job => createCrontab('0 * * * *', { name: 'hourly', onLeader: true }, world.note(id))
  await one.run([hourly('one')])
  await two.run([hourly('two')])
  const lead = one.lead()
  await world.clock.advance('59m')
  await world.clock.advance('55s')
  lead.lose()
  await world.clock.advance('20s')
  const next = two.lead()
  await turns()
  // Nothing was recorded before: the new leader begins with the next slot.
  expect(world.ran).toEqual([])
  await world.clock.advance('1h')
  expect(world.ran).toEqual(['two 14:00:00'])
  await world.clock.advance('59m')
  next.lose()
  await world.clock.advance('1m')
  one.lead()
  await turns()
  expect(world.ran).toEqual(['two 14:00:00', 'one 15:00:00'])
})

test('an unfinished run runs again on the next leader; a finished one does not', async () => {
  const world = new World()
  const [one, two] = [world.worker('one'), world.worker('two')]
  const signals: AbortSignal[] = []
  const once = (id: string, fn: (context: JobContext) => unknown): Job =>
    createCrontab('0 13 * * *', { name: 'once', onLeader: true }, (context) => {
      world.note(id)(context)
      signals.push(context.signal)
      return fn(context)
    })
  await one.run([once('one', endless)])
  await two.run([once('two', () => {})])
  const lead = one.lead()
  await world.clock.advance('1h')
  await world.clock.advance('10m')
  lead.lose()
  expect(signals[0]?.aborted).toBe(true)
  const next = two.lead()
  await turns()
  expect(world.ran).toEqual(['one 13:00:00', 'two 13:00:00'])
  next.lose()
  one.lead()
  await turns()
  expect(world.ran).toHaveLength(2)
})

test('a leader that was suspended over two slots runs neither', async () => {
  const world = new World()
  const [one, two] = [world.worker('one'), world.worker('two')]
  const first = await one.run([world.minutely('one')])
  await two.run([world.minutely('two')])
  const lead = one.lead()
  await world.clock.advance('1m')
  // The leader is suspended: its clock runs on and its lease expires, but nobody has told it yet.
  lead.expired = true
  two.lead()
  await world.clock.advance('2m')
  expect(world.ran).toEqual(['one 12:01:00', 'two 12:02:00', 'two 12:03:00'])
  lead.lose()
  await turns()
  expect(first.jobs()[0]).toMatchObject({ state: 'waiting-for-leader', active: 0 })
  await world.clock.advance('1m')
  expect(world.ran.at(-1)).toBe('two 12:04:00')
  expect(world.ran).toHaveLength(4)
})

test('a leader unaware of its suspension is fenced: its claim fails and its run does not begin', async () => {
  const world = new World()
  const [one, two] = [world.worker('one'), world.worker('two')]
  await one.run([world.minutely('one')])
  await two.run([world.minutely('two')])
  const lead = one.lead()
  await world.clock.advance('1m')
  // Both take themselves for the leader. The later one has fenced the first, which learns of it at its commit.
  world.broker.beforeCommit = async () => {
    world.broker.beforeCommit = () => {}
    two.lead()
    await turns()
    lead.expired = true
  }
  await world.clock.advance('1m')
  expect(world.ran).toEqual(['one 12:01:00', 'two 12:02:00'])
  lead.lose()
})

test('a leader suspended between its claim and the run asks the group first', async () => {
  const world = new World()
  const one = world.worker('one')
  await one.run([world.minutely('one')])
  const lead = one.lead()
  world.broker.afterCommit = () => (lead.expired = true)
  await world.clock.advance('1m')
  expect(world.ran).toEqual([])
  lead.lose()
  world.broker.afterCommit = () => {}
  // The claim counts: the run belongs to the next leader.
  one.lead()
  await turns()
  expect(world.ran).toEqual(['one 12:01:00'])
})

test('a write with a lost answer counts, and its run begins once', async () => {
  const world = new World()
  const one = world.worker('one')
  const scheduler = await one.run([world.minutely('one')])
  one.lead()
  let lost = 0
  world.broker.afterCommit = () => {
    if (lost++ % 2 === 0) throw new Error('connection lost')
  }
  await world.clock.advance('3m')
  await world.clock.advance('1s')
  expect(world.ran).toEqual(['one 12:01:00', 'one 12:02:00', 'one 12:03:00'])
  expect(scheduler.jobs()[0]).toMatchObject({ runs: 3, skipped: 0 })
  expect(one.logged.some(({ level }) => level === 'warn')).toBe(true)
})

test('a failed write is repeated, and its run begins once', async () => {
  const world = new World()
  const one = world.worker('one')
  await one.run([world.minutely('one')])
  one.lead()
  let failed = 0
  world.broker.beforeCommit = () => {
    if (failed++ % 2 === 0) throw new Error('connection lost')
  }
  await world.clock.advance('3m')
  await world.clock.advance('1s')
  expect(world.ran).toEqual(['one 12:01:00', 'one 12:02:00', 'one 12:03:00'])
})

test.each([
  ['none', []],
  ['latest', ['two 15:00:00']],
  ['all', ['two 13:00:00', 'two 14:00:00', 'two 15:00:00']],
] as const)('after a full restart, catchUp %s runs the missed slots', async (catchUp, expected) => {
  const world = new World()
  const hourly = (id: string): Job =>
    createCrontab('0 * * * *', { name: 'hourly', onLeader: true, catchUp }, world.note(id))
  const one = world.worker('one')
  await one.run([hourly('one')])
  const lead = one.lead()
  await turns()
  await one.stop(lead)
  await world.clock.advance('3h')
  await world.clock.advance('30m')
  const two = world.worker('two')
  const scheduler = await two.run([hourly('two')])
  two.lead('another life')
  await turns()
  expect(world.ran).toEqual(expected)
  await world.clock.advance('30m')
  expect(world.ran.slice(expected.length)).toEqual(['two 16:00:00'])
  expect(scheduler.jobs()[0]?.nextRun).toEqual(new Date('2026-06-01T17:00:00Z'))
})

test('within limits how late a slot is caught up', async () => {
  const world = new World()
  const hourly = (id: string): Job =>
    createCrontab('0 * * * *', { name: 'hourly', onLeader: true, catchUp: 'all', within: '2h' }, world.note(id))
  const one = world.worker('one')
  await one.run([hourly('one')])
  const lead = one.lead()
  await turns()
  await one.stop(lead)
  await world.clock.advance('3h')
  await world.clock.advance('30m')
  const two = world.worker('two')
  const scheduler = await two.run([hourly('two')])
  two.lead()
  await turns()
  expect(world.ran).toEqual(['two 14:00:00', 'two 15:00:00'])
  expect(scheduler.jobs()[0]?.skipped).toBe(1)
})

test('catching up is bounded, even for a job that runs every second, after a month', async () => {
  const world = new World()
  const every = (id: string): Job =>
    createCrontab('* * * * * *', { name: 'every', onLeader: true, catchUp: 'all' }, world.note(id))
  const one = world.worker('one')
  await one.run([every('one')])
  const lead = one.lead()
  await turns()
  await one.stop(lead)
  world.clock.set(new Date('2026-07-01T12:00:00Z'))
  const two = world.worker('two')
  await two.run([every('two')])
  two.lead()
  await turns(5000)
  expect(world.ran).toHaveLength(1000)
  expect(world.ran.at(-1)).toBe('two 12:00:00')
  expect(new Set(world.ran).size).toBe(1000)
})

test('a leader task runs once in the life of a group, and again if it did not finish', async () => {
  const world = new World()
  const [one, two, three] = [world.worker('one'), world.worker('two'), world.worker('three')]
  const seed = (id: string, fn: (context: JobContext) => unknown): Job =>
    createTask({ name: 'seed', onLeader: true }, (context) => {
      world.ran.push(id)
      return fn(context)
    })
  const untilAborted = ({ signal }: JobContext): Promise<void> =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
  await one.run([seed('one', untilAborted)])
  await two.run([seed('two', () => {})])
  const first = one.lead('a')
  await turns()
  await one.stop(first)
  const second = two.lead('a')
  await turns()
  expect(world.ran).toEqual(['one', 'two'])
  second.lose()
  await three.run([seed('three', () => {})])
  const third = three.lead('a')
  await turns()
  expect(world.ran).toEqual(['one', 'two'])
  third.lose()
  two.lead('b')
  await turns()
  expect(world.ran).toEqual(['one', 'two', 'two'])
})

test('a timer keeps its rate across leaders', async () => {
  const world = new World()
  const [one, two] = [world.worker('one'), world.worker('two')]
  const timer = (id: string): Job => createTimer('10s', { name: 'tick', onLeader: true }, world.note(id))
  await one.run([timer('one')])
  await two.run([timer('two')])
  const lead = one.lead()
  await world.clock.advance('20s')
  lead.lose()
  await world.clock.advance('13s')
  two.lead()
  await world.clock.advance('10s')
  expect(world.ran).toEqual(['one 12:00:10', 'one 12:00:20', 'two 12:00:30', 'two 12:00:40'])
})

test('stopping waits for a leader’s run, and records its end', async () => {
  const world = new World()
  const [one, two] = [world.worker('one'), world.worker('two')]
  const job = (id: string): Job =>
    createCrontab('* * * * *', { name: 'minutely', onLeader: true }, async (context) => {
      world.note(id)(context)
      if (id === 'one') await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve()))
    })
  await one.run([job('one')])
  const scheduler = await two.run([job('two')])
  const lead = one.lead()
  await world.clock.advance('1m')
  await one.stop(lead)
  two.lead()
  await turns()
  expect(world.ran).toEqual(['one 12:01:00'])
  expect(scheduler.jobs()[0]?.state).toBe('scheduled')
})

test('limit counts across leaders', async () => {
  const world = new World()
  const [one, two] = [world.worker('one'), world.worker('two')]
  const job = (id: string): Job =>
    createCrontab('* * * * *', { name: 'minutely', onLeader: true, limit: 3 }, world.note(id))
  await one.run([job('one')])
  const scheduler = await two.run([job('two')])
  const lead = one.lead()
  await world.clock.advance('2m')
  lead.lose()
  two.lead()
  await world.clock.advance('5m')
  expect(world.ran).toEqual(['one 12:01:00', 'one 12:02:00', 'two 12:03:00'])
  expect(scheduler.jobs()[0]?.state).toBe('finished')
})

test('a job with an unreadable record counts as new', async () => {
  const world = new World()
  world.broker.records.push({
    topic: 'app-__scheduler',
    partition: 0,
    key: Buffer.from('minutely'),
    value: Buffer.from('{"v":1}'),
    headers: [],
    timestamp: 0,
  })
  const one = world.worker('one')
  await one.run([world.minutely('one')])
  one.lead()
  await world.clock.advance('1m')
  expect(world.ran).toEqual(['one 12:01:00'])
  expect(one.logged).toContainEqual(
    expect.objectContaining({ level: 'warn', message: expect.stringContaining('job "minutely"') }),
  )
})

test('a leader elected before its worker is ready begins nothing until then', async () => {
  const world = new World()
  const one = world.worker('one')
  const beforeReady = async (): Promise<void> => {
    one.lead()
    await turns()
    expect(world.ran).toEqual([])
  }
  await one.run([createTask({ name: 'seed', onLeader: true }, () => void world.ran.push('seed'))], { beforeReady })
  await turns()
  expect(world.ran).toEqual(['seed'])
})
