import { manualClock, MillraceError, type ManualClock } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SmallBroker } from '../fixtures/small-broker.fixture.ts'
import { SmallWorker, turns } from '../fixtures/small-worker.fixture.ts'
import { createCrontab, createTask, createTimer } from '../jobs/create-jobs.ts'
import {
  covers,
  decodePause,
  encodePause,
  MAX_EARLIER,
  nextPause,
  type Pausable,
  type Pause,
  pausedBy,
  pauseKey,
} from './pause.ts'

const TICK: Pausable = { kind: 'job', name: 'tick' }
const NOON = Date.parse('2026-06-01T12:00:00Z')

/** Workers of one app, and the runs of each. */
class World {
  readonly clock: ManualClock = manualClock({ now: NOON })
  readonly broker: SmallBroker = new SmallBroker()
  readonly ran: string[] = []

  worker(id: string): SmallWorker {
    return new SmallWorker({ clock: this.clock, id, broker: this.broker })
  }

  note(id: string): (context: { readonly slot: Date }) => void {
    return ({ slot }) => void this.ran.push(`${id} ${slot.toISOString().slice(11, 19)}`)
  }
}

test('a pause and its end apply to all workers, including later ones', async () => {
  const world = new World()
  const job = (id: string): ReturnType<typeof createTimer> => createTimer('10s', { name: 'tick' }, world.note(id))
  const one = await world.worker('one').run([job('one')])
  const two = await world.worker('two').run([job('two')])
  await world.clock.advance('10s')
  await two.pause('tick')
  await turns()
  expect([one, two].map((each) => each.jobs()[0])).toMatchObject([
    { state: 'paused', paused: true, nextRun: undefined },
    { state: 'paused', paused: true },
  ])
  const three = await world.worker('three').run([job('three')])
  expect(three.jobs()[0]).toMatchObject({ state: 'paused' })
  await world.clock.advance('30s')
  expect(world.ran).toEqual(['one 12:00:10', 'two 12:00:10'])
  await three.resume('tick')
  await world.clock.advance('10s')
  expect(world.ran.slice(2)).toEqual(['one 12:00:50', 'two 12:00:50', 'three 12:00:50'])
  expect(one.jobs()[0]).toMatchObject({ skipped: 3, paused: false, nextRun: new Date(NOON + 60_000) })
})

test('a paused task waits, on the leader as well, and runs when it is resumed', async () => {
  const world = new World()
  const jobs = [
    createTask({ name: 'local' }, () => void world.ran.push('local')),
    createTask({ name: 'led', onLeader: true }, () => void world.ran.push('led')),
  ]
  const before = await world
    .worker('before')
    .run([createTask({ name: 'local' }, () => {}), createTask({ name: 'led', onLeader: true }, () => {})])
  for (const name of ['local', 'led']) await before.pause(name)
  const worker = world.worker('one')
  const scheduler = await worker.run(jobs)
  worker.lead()
  await turns()
  expect(scheduler.jobs().map(({ state }) => state)).toEqual(['paused', 'paused'])
  expect(world.ran).toEqual([])
  await scheduler.resume('local')
  await scheduler.resume('led')
  await turns()
  expect(world.ran).toEqual(['local', 'led'])
  await scheduler.pause('local')
  await scheduler.resume('local')
  await turns()
  expect(world.ran).toHaveLength(2)
})

test('slots skipped in a pause are not caught up, not even by the next leader', async () => {
  const world = new World()
  const job = (id: string): ReturnType<typeof createCrontab> =>
    createCrontab('* * * * *', { name: 'minutely', onLeader: true, catchUp: 'all' }, world.note(id))
  const [one, two] = [world.worker('one'), world.worker('two')]
  const first = await one.run([job('one')])
  await two.run([job('two')])
  const lead = one.lead()
  await world.clock.advance('1m')
  await first.pause('minutely')
  await world.clock.advance('3m')
  await first.resume('minutely')
  lead.lose()
  await world.clock.advance('2m')
  two.lead()
  await turns()
  // Missed without a leader, after the pause.
  expect(world.ran).toEqual(['one 12:01:00', 'two 12:05:00', 'two 12:06:00'])
})

test('the next leader does not catch up slots within several pauses, but catches up those between them', async () => {
  const world = new World()
  const job = (id: string): ReturnType<typeof createCrontab> =>
    createCrontab('* * * * *', { name: 'minutely', onLeader: true, catchUp: 'all' }, world.note(id))
  const [one, two] = [world.worker('one'), world.worker('two')]
  const first = await one.run([job('one')])
  await two.run([job('two')])
  const lead = one.lead()
  await world.clock.advance('1m')
  lead.lose()
  await world.clock.advance('30s')
  // 12:02 and 12:03, then 12:05 and 12:06, without a leader.
  await first.pause('minutely')
  await world.clock.advance('2m')
  await first.resume('minutely')
  await world.clock.advance('1m')
  await first.pause('minutely')
  await world.clock.advance('2m')
  await first.resume('minutely')
  await world.clock.advance('1m')
  two.lead()
  await turns()
  expect(world.ran).toEqual(['one 12:01:00', 'two 12:04:00', 'two 12:07:00'])
})

test('a run held back by a pause is dropped with the lead: only the next leader runs it', async () => {
  const world = new World()
  const job = (id: string): ReturnType<typeof createCrontab> =>
    createCrontab('0 13 * * *', { name: 'daily', onLeader: true, catchUp: 'all' }, (context) => {
      world.note(id)(context)
      if (id !== 'one') return undefined
      // The run ends with the lead, and so is not recorded as done.
      return new Promise((_, reject) => context.signal.addEventListener('abort', () => reject(context.signal.reason)))
    })
  const [one, two, three] = [world.worker('one'), world.worker('two'), world.worker('three')]
  const first = await one.run([job('one')])
  const second = await two.run([job('two')])
  await three.run([job('three')])
  const began = one.lead()
  await world.clock.advance('1h')
  await first.pause('daily')
  began.lose()
  const held = two.lead()
  await turns()
  expect(world.ran).toEqual(['one 13:00:00'])
  expect(second.jobs()[0]).toMatchObject({ state: 'paused' })
  held.lose()
  await second.resume('daily')
  await turns()
  expect(world.ran).toEqual(['one 13:00:00'])
  three.lead()
  await turns()
  expect(world.ran).toEqual(['one 13:00:00', 'three 13:00:00'])
})

test('the number of remembered pauses is bounded', async () => {
  const world = new World()
  const worker = await world.worker('one').run([createTimer('1h', { name: 'tick' }, () => {})])
  for (let i = 0; i < MAX_EARLIER + 10; i++) {
    await worker.pause('tick')
    await world.clock.advance('1s')
    await worker.resume('tick')
    await world.clock.advance('1s')
  }
  const last = decodePause(world.broker.records.at(-1)?.value ?? Buffer.from(''), TICK)
  expect(last?.earlier).toHaveLength(MAX_EARLIER)
  expect(last?.earlier.at(-1)).toEqual({
    sinceMs: NOON + (MAX_EARLIER + 8) * 2000,
    untilMs: NOON + (MAX_EARLIER + 8) * 2000 + 1000,
  })
})

test('a job can be triggered while it is paused', async () => {
  const world = new World()
  const scheduler = await world.worker('one').run([createTimer('1m', { name: 'tick' }, world.note('one'))])
  await scheduler.pause('tick')
  expect(await scheduler.trigger('tick')).toMatchObject({ result: 'done' })
  expect(scheduler.jobs()[0]).toMatchObject({ state: 'paused', runs: 1 })
})

test('a failed reader is replaced, and misses nothing', async () => {
  const world = new World()
  const worker = world.worker('one')
  const reader = worker.reader.bind(worker)
  let isBroken = false
  worker.reader = () => {
    const inner = reader()
    return {
      ...inner,
      batches: async function* () {
        for await (const batch of inner.batches()) {
          yield batch
          if (isBroken) throw new MillraceError('BROKER_UNREACHABLE', 'It is gone.')
        }
      },
    }
  }
  const scheduler = await worker.run([createTimer('1m', { name: 'tick' }, world.note('one'))])
  const other = await world.worker('two').run([createTimer('1m', { name: 'tick' }, world.note('two'))])
  isBroken = true
  await other.pause('tick')
  await turns()
  // Nobody reads here until the next attempt.
  await other.resume('tick')
  await other.pause('tick')
  await other.resume('tick')
  expect(scheduler.jobs()[0]?.paused).toBe(true)
  isBroken = false
  await world.clock.advance('1s')
  expect(scheduler.jobs()[0]?.paused).toBe(false)
  expect(worker.logged.filter(({ level }) => level === 'warn')).toMatchObject([
    { message: expect.stringContaining('Which jobs and agents are paused could not be read from app-__scheduler') },
  ])
})

test('after pausing and resuming in any order on any workers, the last write wins on all', async () => {
  const steps = fc.array(fc.record({ worker: fc.nat(2), pause: fc.boolean() }), { minLength: 1, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(steps, async (said) => {
      const world = new World()
      const workers = ['a', 'b', 'c'].map((id) => world.worker(id))
      const schedulers = await Promise.all(
        workers.map((worker) => worker.run([createTimer('1h', { name: 'tick' }, () => {})])),
      )
      for (const { worker, pause } of said) {
        await (pause ? schedulers[worker]?.pause('tick') : schedulers[worker]?.resume('tick'))
        await world.clock.advance('1s')
      }
      const last = said.at(-1)?.pause
      expect(schedulers.map((each) => each.jobs()[0]?.paused)).toEqual([last, last, last])
      for (const each of schedulers) await each.stop()
      for (const { contexts } of workers) contexts.disable()
    }),
    { numRuns: 50 },
  )
})

test('pauses in the log: the slots they cover, and invalid rows', () => {
  const pause: Pause = { sinceMs: 1000, untilMs: 2000, earlier: [{ sinceMs: 100, untilMs: 200 }] }
  expect([999, 1000, 2000, 2001].map((slot) => covers(pause, slot))).toEqual([false, true, true, false])
  expect([99, 100, 200, 201].map((slot) => covers(pause, slot))).toEqual([false, true, true, false])
  expect(covers({ sinceMs: 1000, untilMs: undefined, earlier: [] }, 1)).toBe(true)
  expect(decodePause(encodePause(pause), TICK)).toEqual(pause)
  expect(['{', '{"v":1}'].map((text) => decodePause(Buffer.from(text), TICK))).toEqual([undefined, undefined])
  const charge: Pausable = { kind: 'agent', name: 'charge' }
  expect([TICK, charge].map((what) => pausedBy(pauseKey(what)))).toEqual([TICK, charge])
  expect([pauseKey(TICK), pauseKey(charge), pausedBy('tick')]).toEqual(['pause:tick', 'pause:agent:charge', undefined])
})

test('pausing a paused job or resuming a running one changes nothing', () => {
  const first = nextPause(undefined, true, 1)
  expect(first).toEqual({ sinceMs: 1, untilMs: undefined, earlier: [] })
  expect(nextPause(first, true, 2)).toEqual(first)
  const over = nextPause(first, false, 3)
  expect(over).toEqual({ sinceMs: 1, untilMs: 3, earlier: [] })
  expect(nextPause(over, false, 4)).toEqual(over)
  expect(nextPause(over, true, 5)).toEqual({
    sinceMs: 5,
    untilMs: undefined,
    earlier: [{ sinceMs: 1, untilMs: 3 }],
  })
})

test('a pause says who has paused and why, until the next one', () => {
  const first = nextPause(undefined, true, 1, { by: 'ann', why: 'x'.repeat(1000) })
  expect(first).toMatchObject({ by: 'ann', why: 'x'.repeat(500) })
  expect(decodePause(encodePause(first), TICK)).toEqual(first)
  expect(nextPause(first, true, 2, { why: 'still' })).toMatchObject({ sinceMs: 1, by: 'ann', why: 'still' })
  expect(nextPause(nextPause(first, false, 3), true, 4)).toEqual({
    sinceMs: 4,
    untilMs: undefined,
    earlier: [{ sinceMs: 1, untilMs: 3 }],
  })
})

test('agents are paused on all workers, before their first event and across restarts', async () => {
  const world = new World()
  const pausing = (names: readonly string[]) => {
    const seen: unknown[] = []
    return { names, seen, setPause: (agent: string, pause: unknown) => void seen.push([agent, pause]) }
  }
  const [one, two, three] = [pausing(['charge']), pausing(['charge']), pausing(['charge', 'other'])]
  const scheduler = await world.worker('one').run([], { agents: one })
  await world.worker('two').run([], { agents: two })
  await scheduler.pauseAgent('charge', { by: 'ann', why: 'moving' })
  await turns()
  const paused = ['charge', { sinceMs: NOON, by: 'ann', why: 'moving' }]
  expect([one.seen, two.seen]).toEqual([[paused], [paused]])
  let before: readonly unknown[] = []
  const beforeReady = async (): Promise<void> => void (before = [...three.seen])
  const third = await world.worker('three').run([], { agents: three, beforeReady })
  expect(before).toEqual([paused])
  await third.resumeAgent('charge')
  await turns()
  for (const { seen } of [one, two, three]) expect(seen.at(-1)).toEqual(['charge', undefined])
  await expect(scheduler.pauseAgent('chrage')).rejects.toThrow('There is no agent "chrage". Did you mean "charge"?')
  await expect(scheduler.resumeAgent('other')).rejects.toMatchObject({ code: 'AGENT_MISSING' })
})

const PAUSE = '{"v":1,"sinceMs":1780315200000,"later":1}'

test('reads pauses written by earlier versions', () => {
  expect(decodePause(Buffer.from(PAUSE), TICK)).toEqual({ sinceMs: NOON, untilMs: undefined, earlier: [] })
  expect(decodePause(Buffer.from('{"v":1,"sinceMs":1,"untilMs":2}'), TICK)).toEqual({
    sinceMs: 1,
    untilMs: 2,
    earlier: [],
  })
  const after = '{"v":1,"sinceMs":5,"earlier":[{"sinceMs":1,"untilMs":2}]}'
  expect(decodePause(Buffer.from(after), TICK)).toEqual({
    sinceMs: 5,
    untilMs: undefined,
    earlier: [{ sinceMs: 1, untilMs: 2 }],
  })
})

test('a pause written by a later version fails the worker, and is not ignored', async () => {
  const world = new World()
  const worker = world.worker('one')
  await worker.run([createTimer('10s', { name: 'tick' }, world.note('one'))])
  await world.broker.append({
    topic: 'app-__scheduler',
    partition: 0,
    key: Buffer.from(pauseKey(TICK)),
    value: Buffer.from('{"v":2}'),
    headers: [],
    timestamp: 0,
  })
  await turns()
  expect(worker.failure).toMatchObject({
    code: 'FORMAT_NEWER',
    message: expect.stringContaining('The pause of job "tick" has format 2'),
  })
})
