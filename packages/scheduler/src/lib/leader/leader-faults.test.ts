import { manualClock } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SmallBroker } from '../fixtures/small-broker.fixture.ts'
import { SmallWorker, turns, type Lead } from '../fixtures/small-worker.fixture.ts'
import { createCrontab } from '../jobs/create-jobs.ts'
import type { SchedulerPart } from '../scheduler-part.ts'
import { decodeJobRecord } from './job-record.ts'

const NOON = Date.parse('2026-06-01T12:00:00Z')
const MINUTE_MS = 60_000

/** Faults for three workers, one of which leads. */
const events = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 150_000 }) }),
    },
    // The former leader is not told: it takes itself for the leader until then.
    { weight: 3, arbitrary: fc.record({ type: fc.constant('elect' as const), worker: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('tell' as const) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('sleep' as const), worker: fc.nat(2) }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant('pause' as const), worker: fc.nat(2), isPaused: fc.boolean() }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('fail' as const),
        when: fc.constantFrom('before' as const, 'after' as const),
      }),
    },
  ),
  { minLength: 5, maxLength: 25, size: 'max' },
)

test('despite all faults of leaders, every slot outside pauses runs, and none begins again once its end is recorded', async () => {
  await fc.assert(
    fc.asyncProperty(events, async (happened) => {
      const clock = manualClock({ now: NOON })
      const broker = new SmallBroker()
      /** Slots begun, and how much had been written by then. */
      const begun = new Map<number, number>()
      const problems: string[] = []
      const pauses: { sinceMs: number; untilMs: number }[] = []
      const schedulers: SchedulerPart[] = []
      const setPause = async (isPaused: boolean, on: number): Promise<void> => {
        const last = pauses.at(-1)
        const lasts = last?.untilMs === Infinity
        if (isPaused && !lasts) pauses.push({ sinceMs: clock.now(), untilMs: Infinity })
        if (!isPaused && lasts) last.untilMs = clock.now()
        await (isPaused ? schedulers[on]?.pause('job') : schedulers[on]?.resume('job'))
      }
      const workers = ['one', 'two', 'three'].map((id) => new SmallWorker({ clock, id, broker }))
      for (const worker of workers) {
        const job = createCrontab('* * * * *', { name: 'job', onLeader: true, catchUp: 'all' }, ({ slot }) => {
          const slotMs = slot.getTime()
          if (!openIn(lastOf(broker)).includes(slotMs))
            problems.push(`${worker.id} began ${slot.toISOString()} without a claim`)
          if (pauses.some(({ sinceMs, untilMs }) => slotMs > sinceMs && slotMs < untilMs))
            problems.push(`${worker.id} began ${slot.toISOString()}, which is in a pause`)
          if (slotMs > clock.now()) problems.push(`${worker.id} began ${slot.toISOString()} early`)
          const writtenThen = begun.get(slotMs) ?? broker.records.length
          const ended = broker.records
            .slice(writtenThen)
            .some((one) => isOfJob(one) && !openIn(one.value).includes(slotMs))
          if (ended) problems.push(`${worker.id} began ${slot.toISOString()} again after its end was noted`)
          begun.set(slotMs, broker.records.length)
        })
        schedulers.push(await worker.run([job]))
      }
      const leads: (Lead | undefined)[] = workers.map(() => undefined)
      let current = -1
      const elect = (at: number): void => {
        leads[at]?.lose()
        leads[at] = workers[at]?.lead()
        current = at
      }
      const tell = (): void => leads.forEach((lead, at) => (at === current ? undefined : lead?.lose()))

      elect(0)
      await turns()
      for (const event of happened) {
        if (event.type === 'wait') await clock.advance(event.ms)
        else if (event.type === 'elect') elect(event.worker)
        else if (event.type === 'tell') tell()
        else if (event.type === 'sleep') {
          const lead = leads[event.worker]
          // The group's leader is in contact with the group; otherwise another one would lead.
          if (lead !== undefined && event.worker !== current) lead.expired = true
        } else if (event.type === 'pause') await setPause(event.isPaused, event.worker)
        else failOnce(broker, event.when)
        await turns()
      }
      await setPause(false, 0)
      tell()
      elect((current + 1) % 3)
      tell()
      await clock.advance(2 * MINUTE_MS)
      await clock.advance(30_000)

      expect(problems).toEqual([])
      const slots = Array.from(
        { length: Math.floor((clock.now() - NOON) / MINUTE_MS) },
        (_, i) => NOON + (i + 1) * MINUTE_MS,
      )
      const wanted = slots.filter((ms) => !pauses.some(({ sinceMs, untilMs }) => ms >= sinceMs && ms <= untilMs))
      expect(wanted.filter((ms) => !begun.has(ms))).toEqual([])
      expect(decodeJobRecord(lastOf(broker) ?? Buffer.from(''), 'a')).toMatchObject({ open: [], upToMs: wanted.at(-1) })
      for (const worker of workers) expect(worker.failure).toBeUndefined()
      // Each async storage left enabled slows down every promise of later runs.
      for (const { contexts } of workers) contexts.disable()
    }),
    { numRuns: 60 },
  )
})

function isOfJob({ key }: { readonly key: Buffer | null }): boolean {
  return key?.toString() === 'job'
}

/** The last record of the job. */
function lastOf(broker: SmallBroker): Buffer | null {
  return broker.records.findLast(isOfJob)?.value ?? null
}

function openIn(value: Buffer | null): readonly number[] {
  return (value === null ? undefined : decodeJobRecord(value, 'a'))?.open ?? []
}

/** The next commit fails, before or after it takes effect. */
function failOnce(broker: SmallBroker, when: 'before' | 'after'): void {
  const hook = when === 'before' ? 'beforeCommit' : 'afterCommit'
  broker[hook] = () => {
    broker[hook] = () => {}
    throw new Error('connection lost')
  }
}

test('reads records of leaders of earlier versions', () => {
  const row =
    '{"v":1,"by":"one","life":"pod-1","upToMs":60000,"open":[60000],"runs":2,"last":{"slotMs":0,"startedAtMs":5,"durationMs":7,"result":"ok"},"later":1}'
  expect(decodeJobRecord(Buffer.from(row), 'job')).toEqual({
    by: 'one',
    life: 'pod-1',
    upToMs: MINUTE_MS,
    open: [MINUTE_MS],
    runs: 2,
    last: { slotMs: 0, startedAtMs: 5, durationMs: 7, result: 'ok' },
  })
})

test('a record of a later version fails the worker, and no job runs again', async () => {
  const clock = manualClock({ now: NOON })
  const broker = new SmallBroker()
  await broker.append({
    topic: 'app-__scheduler',
    partition: 0,
    key: Buffer.from('job'),
    value: Buffer.from('{"v":2}'),
    headers: [],
    timestamp: 0,
  })
  const worker = new SmallWorker({ clock, broker })
  let runs = 0
  await worker.run([createCrontab('* * * * *', { name: 'job', onLeader: true }, () => void runs++)])
  worker.lead()
  await clock.advance(5 * MINUTE_MS)
  await turns()
  expect(worker.failure).toMatchObject({
    code: 'FORMAT_NEWER',
    message: expect.stringContaining('What leaders have noted about job "job" has format 2'),
  })
  expect(runs).toBe(0)
})
