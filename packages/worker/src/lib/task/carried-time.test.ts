import { manualClock, NO_HEADERS, type OutgoingRecord } from '@millrace/core'
import type { Consumer, Producer, Transport } from '@millrace/core/driver'
import { createMemoryLog, type MemoryLog, type MemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import type { OpenState, StateDefinition } from '../contracts/task.ts'
import { Outside, outgoing, runWorker, type TestApp, until } from '../fixtures/test-worker.fixture.ts'
import { committedTimes } from '../records/committed-times.ts'

/** Keeps event time, and nothing else. */
const TIMED: StateDefinition = {
  name: 'timed',
  changelog: { topic: 'timed-changelog', config: { 'cleanup.policy': 'compact' } },
  partitions: 3,
  eventTime: true,
  openState: (): OpenState => ({
    takeRows: () => [],
    rowsStored: () => {},
    rowsReturned: () => {},
    dirtyBytes: 0,
    close: () => {},
  }),
}

interface Watermark {
  readonly task: string
  readonly time: number
  /** The time that was committed for the task when it went out. */
  readonly committed: number
}

/** Notes each watermark as it goes out. Offsets are committed late, and not at all while `isStuck`. */
class WatchedTransport {
  readonly watermarks: Watermark[] = []
  commits = 0
  isStuck = false
  isSlow = false
  readonly #log: MemoryLog
  #release: (() => void)[] = []

  constructor(log: MemoryLog) {
    this.#log = log
  }

  readonly wrap = (inner: MemoryTransport): Transport => {
    const consumer = (options: Parameters<Transport['consumer']>[0]): Consumer => {
      const own = inner.consumer(options)
      const commit: Consumer['commit'] = async (offsets) => {
        this.commits++
        if (this.isSlow) await new Promise<void>((resolve) => void this.#release.push(resolve))
        await own.commit(offsets)
      }
      return bound(own, { commit })
    }
    const producer = (): Producer => {
      const own = inner.producer()
      const send: Producer['send'] = (records, options) => {
        for (const record of records) this.#note(record)
        return own.send(records, options)
      }
      return bound(own, { send })
    }
    return bound<Transport>(inner, { consumer, producer })
  }

  release(): void {
    if (this.isStuck) return
    for (const resolve of this.#release.splice(0)) resolve()
  }

  #note({ headers }: OutgoingRecord): void {
    const [header] = headers
    if (header?.[0] !== 'millrace-watermark') return
    const [task = '', time = ''] = header[1]?.toString().split(':') ?? []
    const partition = Number(task.split('-')[1])
    const found = this.#log.committed('app').find((each) => each.topic === 'in' && each.partition === partition)
    const committed = committedTimes(found?.metadata ?? '').finished.get('group') ?? -Infinity
    this.watermarks.push({ task, time: time === '' ? -Infinity : Number.parseInt(time, 36), committed })
  }
}

/** `own`, with some of its methods replaced. */
function bound<T extends object>(own: T, replaced: Partial<T>): T {
  return new Proxy(own, {
    get(target, name) {
      const found: unknown = Reflect.get(name in replaced ? replaced : target, name)
      return typeof found === 'function' ? found.bind(name in replaced ? replaced : target) : found
    },
  })
}

/** Sends what is in `in` on to `grouped`, behind which event time is kept. */
function groupingApp(handled: () => void = () => {}): TestApp {
  return {
    agents: [
      {
        name: 'group',
        topics: ['in'],
        handler: (event) => {
          handled()
          event.send({ ...outgoing('grouped', 0, 'k', 'v'), partition: undefined, timestamp: event.timestamp })
        },
      },
      { name: 'count', topics: ['grouped'], handler: () => {} },
    ],
    topics: { grouped: 3 },
    purged: ['grouped'],
    timeOf: { grouped: ['group'] },
    tables: [TIMED],
  }
}

test('after a rebalance, tasks that have stayed say their watermarks again: the new owners do not know them', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  const clock = manualClock({ now: new Date(10_000_000) })
  const watched = new WatchedTransport(log)
  const advanceUntil = async (isSo: () => boolean): Promise<void> => {
    for (let n = 0; n < 1000 && !isSo(); n++) {
      await clock.advance(200)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(isSo()).toBe(true)
  }
  const first = await runWorker(log, groupingApp(), { id: 'one', clock, wrap: watched.wrap })
  await outside.send(
    [0, 1].map((partition) => ({ ...outgoing('in', partition, 'k', 'v'), headers: NO_HEADERS, timestamp: 5_000 })),
  )
  const said = (id: string): number =>
    watched.watermarks.filter(({ task, time }) => task === id && time === 5_000).length
  // Repeated after 30 s, and for the next 30 s there is nothing to say.
  await advanceUntil(() => said('2-0') >= 9 && said('2-1') >= 9)
  watched.watermarks.length = 0
  const startMs = clock.monotonic()
  const second = await runWorker(log, groupingApp(), { id: 'two', clock })
  const stayed = (): readonly string[] =>
    first.worker
      .assignment()
      .tasks.map(({ id }) => id)
      .filter((id) => id.startsWith('2-'))
  await advanceUntil(() => stayed().length === 1 && second.worker.assignment().tasks.length > 0)
  await advanceUntil(() => said(stayed()[0] ?? '') === 3)
  expect(clock.monotonic() - startMs).toBeLessThan(20_000)
  await Promise.all([first, second].map(({ worker }) => worker.stop({ hard: true })))
})

test('at least once, a watermark says no more than what is committed when it goes out', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  const clock = manualClock({ now: new Date(10_000_000) })
  const watched = new WatchedTransport(log)
  let handled = 0
  const app = groupingApp(() => void handled++)
  const { worker } = await runWorker(log, app, { clock, wrap: watched.wrap })
  const sendAt = (at: number): Promise<void> =>
    outside.send(
      [0, 1].map((partition) => ({ ...outgoing('in', partition, 'k', 'v'), headers: NO_HEADERS, timestamp: at })),
    )
  watched.isSlow = true
  const turn = async (at?: number): Promise<void> => {
    await clock.advance(50)
    if (at !== undefined) await sendAt(at)
    // What has come meanwhile is finished before the commit is.
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
    watched.release()
  }
  for (let at = 1; at <= 40; at++) {
    // Events finish while a commit is under way.
    await turn(at * 1000)
    await turn()
  }
  await until('all handled', () => handled === 80)
  for (let n = 0; n < 60; n++) await turn()
  const times = watched.watermarks.map(({ time }) => time)
  expect(new Set(times).size).toBeGreaterThan(3)
  expect(Math.max(...times)).toBe(40_000)
  for (const { time, committed } of watched.watermarks) expect(time).toBeLessThanOrEqual(committed)
  // Nothing is committed any more: nothing new is said, however much is finished.
  watched.isStuck = true
  await sendAt(90_000)
  await until('all handled', () => handled === 82)
  for (let n = 0; n < 60; n++) await turn()
  expect(Math.max(...watched.watermarks.map(({ time }) => time))).toBe(40_000)
  watched.isStuck = watched.isSlow = false
  watched.release()
  await worker.stop({ hard: true })
})
