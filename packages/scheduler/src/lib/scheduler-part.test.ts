import { manualClock, type ManualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { SmallWorker, turns } from './fixtures/small-worker.fixture.ts'
import { createCrontab, createTask, createTimer } from './jobs/create-jobs.ts'
import type { JobContext, Overlap } from './jobs/job.ts'

const NOON = new Date('2026-06-01T12:00:00Z')

function world(): { readonly clock: ManualClock; readonly worker: SmallWorker } {
  const clock = manualClock({ now: NOON })
  return { clock, worker: new SmallWorker({ clock }) }
}

/** Seconds after noon. */
function after({ slot }: { readonly slot: Date }): number {
  return (slot.getTime() - NOON.getTime()) / 1000
}

/** A body that runs until it is released or aborted. */
function lasting(): {
  readonly fn: (context: JobContext) => Promise<void>
  readonly begun: JobContext[]
  readonly letGo: () => void
} {
  const begun: JobContext[] = []
  const waiting: (() => void)[] = []
  return {
    begun,
    fn: (context) => {
      begun.push(context)
      return new Promise((resolve, reject) => {
        waiting.push(resolve)
        context.signal.addEventListener('abort', () => reject(context.signal.reason))
      })
    },
    letGo: () => waiting.shift()?.(),
  }
}

test('a task runs once, in the context of the worker', async () => {
  const { worker, clock } = world()
  const seen: unknown[] = []
  const job = createTask({}, function onStarted(context) {
    seen.push(context.job, worker.contexts.getStore())
  })
  const scheduler = await worker.run([job])
  await clock.advance('1d')
  expect(seen).toEqual(['onStarted', { client: worker, worker, event: undefined, agent: undefined }])
  expect(scheduler.jobs()).toMatchObject([
    { name: 'onStarted', state: 'finished', runs: 1, nextRun: undefined, lastRun: { result: 'done' } },
  ])
})

test('a timer keeps its rate, however long its runs take', async () => {
  const { worker, clock } = world()
  const at: number[] = []
  const job = createTimer('10s', {}, async function tick({ slot }) {
    at.push(after({ slot }))
    await clock.sleep(3000)
  })
  const scheduler = await worker.run([job])
  await clock.advance('1h')
  expect(at).toEqual(Array.from({ length: 360 }, (_, i) => (i + 1) * 10))
  expect(scheduler.jobs()[0]).toMatchObject({ schedule: '10s', skipped: 0, nextRun: new Date(clock.now() + 10_000) })
})

test('a timer of 30 minutes does not drift in a day of late timers', async () => {
  const clock = manualClock({ now: NOON })
  // Every timer is 7 ms late.
  const late = { ...clock, schedule: (ms: number, fn: () => void) => clock.schedule(ms + 7, fn) }
  const worker = new SmallWorker({ clock: late })
  const at: number[] = []
  await worker.run([
    createTimer('1m', {}, function tick(context) {
      at.push(after(context))
    }),
  ])
  await clock.advance('30m')
  expect(at.map((seconds) => Math.round(seconds / 60))).toEqual(Array.from({ length: 29 }, (_, i) => i + 1))
  expect(at.every((seconds) => seconds % 60 === 0)).toBe(true)
})

test('setting the wall clock does not move timers', async () => {
  const { worker, clock } = world()
  let runs = 0
  await worker.run([
    createTimer('1m', {}, function tick() {
      runs++
    }),
  ])
  await clock.advance('90s')
  clock.set(new Date('2030-01-01T00:00:00Z'))
  await clock.advance('90s')
  clock.set(NOON)
  await clock.advance('60s')
  expect(runs).toBe(4)
})

test.each<[Overlap, readonly number[], number]>([
  ['skip', [10, 50], 3],
  ['queue-one', [10, 20, 50], 2],
  ['queue-all', [10, 20, 30, 40, 50], 0],
  ['allow', [10, 20, 30, 40, 50], 0],
])('overlap %s', async (overlap, expected, skipped) => {
  const { worker, clock } = world()
  const body = lasting()
  const scheduler = await worker.run([createTimer('10s', { name: 'tick', overlap }, body.fn)])
  await clock.advance('45s')
  // All waiting work gets its turn before the next slot.
  for (let i = 0; i < 5; i++) {
    body.letGo()
    await turns()
  }
  await clock.advance('5s')
  expect(body.begun.map(after)).toEqual(expected)
  expect(scheduler.jobs()[0]?.skipped).toBe(skipped)
  await worker.stop()
})

test('overlap cancel-previous aborts the current run and begins when it has ended', async () => {
  const { worker, clock } = world()
  const body = lasting()
  const scheduler = await worker.run([createTimer('10s', { name: 'tick', overlap: 'cancel-previous' }, body.fn)])
  await clock.advance('25s')
  expect(body.begun.map(after)).toEqual([10, 20])
  expect(body.begun.map(({ signal }) => signal.aborted)).toEqual([true, false])
  expect(scheduler.jobs()[0]).toMatchObject({
    runs: 1,
    failures: 0,
    lastRun: { result: 'cut-short' },
    state: 'running',
  })
  await worker.stop()
})

test('an error is logged with job and slot, counted and kept; the worker continues', async () => {
  const { worker, clock } = world()
  let runs = 0
  const scheduler = await worker.run([
    createCrontab('* * * * *', {}, function minutely() {
      if (++runs === 1) throw new Error('first one')
    }),
  ])
  await clock.advance('2m')
  expect(runs).toBe(2)
  expect(scheduler.jobs()[0]).toMatchObject({
    runs: 2,
    failures: 1,
    lastError: { message: 'first one', slot: new Date('2026-06-01T12:01:00Z') },
    lastRun: { result: 'done' },
  })
  expect(worker.errors).toMatchObject([{ source: 'cron job "minutely"' }])
  expect(worker.logged.filter(({ level }) => level === 'error')).toMatchObject([
    {
      message: 'Cron job "minutely" failed in its run of 2026-06-01T12:01:00.000Z: first one',
      fields: { job: 'minutely', slot: '2026-06-01T12:01:00.000Z' },
    },
  ])
  expect(worker.failure).toBeUndefined()
})

test('a timeout aborts the run and counts as a failure', async () => {
  const { worker, clock } = world()
  const body = lasting()
  const scheduler = await worker.run([createTimer('1m', { name: 'slow', timeout: '5s' }, body.fn)])
  await clock.advance('66s')
  expect(body.begun[0]?.signal.reason).toMatchObject({ code: 'JOB_TIMEOUT' })
  expect(scheduler.jobs()[0]).toMatchObject({
    failures: 1,
    active: 0,
    lastRun: { result: 'timed-out', durationMs: 5000 },
    lastError: { message: expect.stringContaining('The run of timer "slow" took longer than 5000 ms.') },
  })
})

test('stopping aborts current runs, waits for them, and begins nothing more', async () => {
  const { worker, clock } = world()
  let ended = false
  const scheduler = await worker.run([
    createTimer('1s', {}, async function tick({ signal }) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      await turns()
      ended = true
    }),
  ])
  await clock.advance('1s')
  await scheduler.stop()
  expect(ended).toBe(true)
  expect(clock.pending()).toBe(0)
  expect(scheduler.jobs()[0]).toMatchObject({ state: 'stopped', runs: 1, lastRun: { result: 'done' } })
  await expect(scheduler.trigger('tick')).rejects.toMatchObject({ code: 'CLOSED' })
})

test('jitter delays a run by a random time, never past the next slot', async () => {
  const { worker, clock } = world()
  const begun: number[] = []
  const chances = [0, 0.5, 0.999]
  await worker.run(
    [
      createCrontab('* * * * *', { jitter: '2m', overlap: 'allow' }, function minutely({ slot }) {
        begun.push(clock.now() - slot.getTime())
      }),
    ],
    { random: () => chances.shift() ?? 0 },
  )
  await clock.advance('4m')
  expect(begun).toEqual([0, 59_999, 59_999, 0])
})

test('cron jobs: putting the clock back repeats no slot, putting it forward skips the slots in between', async () => {
  const { worker, clock } = world()
  const ran: string[] = []
  const scheduler = await worker.run([
    createCrontab('0 * * * *', {}, function hourly({ slot }) {
      ran.push(slot.toISOString().slice(11, 16))
    }),
  ])
  await clock.advance('2h')
  clock.set(new Date('2026-06-01T12:30:00Z'))
  await clock.advance('2h')
  expect(ran).toEqual(['13:00', '14:00'])
  await clock.advance('1h')
  expect(ran).toEqual(['13:00', '14:00', '15:00'])
  clock.set(new Date('2026-06-01T20:30:00Z'))
  await clock.advance('31s')
  expect(ran).toHaveLength(3)
  expect(scheduler.jobs()[0]).toMatchObject({ skipped: 5, nextRun: new Date('2026-06-01T21:00:00Z') })
  // Set right after a year ahead: the job does not wait for a year.
  clock.set(new Date('2027-06-01T00:10:00Z'))
  await clock.advance('1h')
  clock.set(new Date('2026-06-02T00:10:00Z'))
  await clock.advance('1h')
  expect(ran.slice(3)).toEqual(['01:00', '01:00'])
})

test('a slot within 30 s after setting the clock still runs in its minute', async () => {
  const { worker, clock } = world()
  let runs = 0
  await worker.run([
    createCrontab('0 20 * * *', {}, function daily() {
      runs++
    }),
  ])
  await clock.advance('5s')
  clock.set(new Date('2026-06-01T19:59:55Z'))
  await clock.advance('30s')
  expect(runs).toBe(1)
})

test('limit, start and end', async () => {
  const { worker, clock } = world()
  const ran: number[] = []
  const scheduler = await worker.run([
    createCrontab('* * * * *', { name: 'thrice', limit: 3 }, (context) => void ran.push(after(context))),
    createCrontab(
      '* * * * *',
      { name: 'between', start: new Date(NOON.getTime() + 600_000), end: new Date(NOON.getTime() + 660_000) },
      (context) => void ran.push(after(context)),
    ),
  ])
  await clock.advance('1h')
  expect(ran).toEqual([60, 120, 180, 600, 660])
  expect(scheduler.jobs().map(({ state }) => state)).toEqual(['finished', 'finished'])
  expect(clock.pending()).toBe(0)
})

test('trigger runs now, pause skips and counts, resume goes on', async () => {
  const { worker, clock } = world()
  const ran: number[] = []
  const scheduler = await worker.run([
    createTimer('10s', {}, function tick(context) {
      ran.push(after(context))
    }),
  ])
  await clock.advance('3s')
  await expect(scheduler.trigger('tick')).resolves.toEqual({
    slot: new Date(NOON.getTime() + 3000),
    result: 'done',
    error: undefined,
  })
  await scheduler.pause('tick')
  expect(scheduler.jobs()[0]?.state).toBe('paused')
  await clock.advance('20s')
  await scheduler.resume('tick')
  await clock.advance('10s')
  expect(ran).toEqual([3, 30])
  expect(scheduler.jobs()[0]).toMatchObject({ skipped: 2, state: 'scheduled' })
  await expect(scheduler.trigger('tock')).rejects.toMatchObject({
    code: 'JOB_MISSING',
    message: expect.stringContaining('"tick"'),
  })
  await expect(scheduler.pause('nothing')).rejects.toMatchObject({ code: 'JOB_MISSING' })
})

test('a failing trigger rejects with the error; a trigger during a run is skipped', async () => {
  const { worker } = world()
  const body = lasting()
  const scheduler = await worker.run([
    createTimer('1h', { name: 'slow' }, body.fn),
    createTimer('1h', { name: 'bad' }, () => Promise.reject(new Error('no'))),
  ])
  await expect(scheduler.trigger('bad')).resolves.toMatchObject({ result: 'failed', error: { message: 'no' } })
  const first = scheduler.trigger('slow')
  await expect(scheduler.trigger('slow')).resolves.toMatchObject({ result: 'skipped' })
  body.letGo()
  await expect(first).resolves.toMatchObject({ result: 'done' })
})
