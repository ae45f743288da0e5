import { createApp } from '@millrace/app'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'
import { isLateWhenClosed } from '../simulation/planted-time-defects.fixture.ts'
import type { TimedView } from '../simulation/scenarios/scenario.fixture.ts'

interface Click {
  readonly key: string
  readonly at: number
}

interface Spans {
  readonly size: number
  readonly every: number
  readonly grace: number
}

interface Outcome {
  /** `{key} {start}`: count, of every window that took an event. */
  readonly counts: Readonly<Record<string, number>>
  /** Those that are closed at the end, sorted. */
  readonly closed: readonly string[]
  readonly late: number
}

/** By brute force, from the order of the one partition alone: no watermark is kept, each is looked up. */
function expected(clicks: readonly Click[], { size, every, grace }: Spans): Outcome {
  const counts: Record<string, number> = {}
  let late = 0
  clicks.forEach(({ key, at }, n) => {
    const highest = Math.max(...clicks.slice(0, n + 1).map((click) => click.at))
    const all = Array.from({ length: Math.floor(at / every) + 1 }, (_, i) => i * every)
    const open = all.filter((start) => start + size > at && start + size + grace > highest)
    for (const start of open) counts[`${key} ${start}`] = (counts[`${key} ${start}`] ?? 0) + 1
    if (open.length === 0) late++
  })
  const end = Math.max(...clicks.map(({ at }) => at))
  const closed = Object.keys(counts).filter((name) => Number(name.split(' ')[1]) + size + grace <= end)
  return { counts, closed: closed.map((name) => `${name} ${counts[name]}`).toSorted(), late }
}

const clicks = fc.array(
  fc.record({ key: fc.constantFrom('a', 'b', 'c'), at: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 300 })) }),
  { minLength: 1, maxLength: 40 },
)
const spans = fc
  .record({ every: fc.integer({ min: 1, max: 30 }), more: fc.integer({ min: 0, max: 40 }), grace: fc.nat({ max: 40 }) })
  .map(({ every, more, grace }) => ({ every, size: every + more, grace }))

interface Way {
  readonly processingGuarantee: 'at-least-once' | 'exactly-once'
  readonly concurrency: number
  /** Plants a defect in the view. */
  readonly plant?: (view: TimedView) => void
}

/** Handlers fail, and the worker is restarted once. */
function agreesWithBruteForce({ processingGuarantee, concurrency, plant = () => {} }: Way) {
  return fc.asyncProperty(clicks, spans, fc.nat({ max: 40 }), async (all, given, restartAfter) => {
    const { size, every, grace } = given
    const app = createApp({ id: 'oracle', processingGuarantee, idleAfter: false })
    const topic = app.topic('clicks', { key: 'string', value: 'number', partitions: 1, timestamp: (at) => at })
    const table = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
    const closed: string[] = []
    const options = {
      grace,
      onWindowClose: ({ key, window, value }: { key: string; window: { start: number }; value: number }) => {
        closed.push(`${key} ${window.start} ${value}`)
      },
    }
    const view = size === every ? table.tumbling(size, options) : table.hopping(size, every, options)
    plant(view)
    let attempts = 0
    app.agent(
      'count',
      topic,
      async (stream) => {
        for await (const { key } of stream.events()) {
          view.update(key, (n) => n + 1)
          if (++attempts % 7 === 0) throw new Error('Once in a while.')
        }
      },
      { concurrency, onError: { retry: 100, backoff: '1ms', maxBackoff: '5ms', then: 'stop' } },
    )
    await using t = await testApp(app)
    const send = async (some: readonly Click[]): Promise<void> => {
      for (const { key, at } of some) await t.send(topic, { key, value: at })
      await t.settle()
      await t.clock.advance('3s')
    }
    await send(all.slice(0, restartAfter))
    const lateBefore = view.stats().late
    // A clean stop, so that at least once, too, everything is there once.
    for (const worker of t.all) await worker.stop()
    await t.worker()
    await send(all.slice(restartAfter))
    const counts: Record<string, number> = {}
    for await (const [key, { start, value }] of view.entries()) counts[`${key} ${start}`] = value
    expect({ counts, closed: closed.toSorted(), late: view.stats().late }).toEqual(expected(all, given))
    expect(lateBefore).toBeLessThanOrEqual(view.stats().late)
  })
}

test.each([
  ['at-least-once', 1],
  ['at-least-once', 4],
  ['exactly-once', 1],
  ['exactly-once', 4],
] as const)(
  'counts, closed windows and late events are what brute force says: %s, %d instances, handlers that fail, restarts',
  async (processingGuarantee, concurrency) => {
    const numRuns = Number(process.env['WINDOW_RUNS'] ?? 8)
    await fc.assert(agreesWithBruteForce({ processingGuarantee, concurrency }), { numRuns })
  },
)

test('a planted defect is caught: lateness by what has closed instead of by event time', async () => {
  const property = agreesWithBruteForce({
    processingGuarantee: 'at-least-once',
    concurrency: 1,
    plant: isLateWhenClosed,
  })
  const { errorInstance } = await fc.check(property, { seed: 1, numRuns: 20, endOnFailure: true })
  expect(String(errorInstance)).toContain('to deeply equal')
})
