import { eventually } from '@millrace/conformance'
import { systemClock } from '@millrace/core'
import { describeKafka } from '@millrace/kafka-for-tests'
import { createLmdbStore } from '@millrace/store-lmdb'
import { expect, test } from 'vitest'
import { directories } from './directories.ts'
import { type FireRun, fireRun, type FireRunOptions } from './fire-run.ts'
import { outsideOf } from './outside.ts'
import type { LoggedRecord } from '@millrace/verifier'
import { length } from './test-length.ts'
import { EXACT, tellFigures } from './verdict.ts'

const clock = systemClock()
const LIMIT = { timeout: 120_000 }
const PER_SECOND = 200

describeKafka('exactly once', (brokers) => {
  const outside = outsideOf(brokers)
  const directory = directories()
  const openRun = (settings: FireRunOptions['settings'] = {}): Promise<FireRun> =>
    fireRun({
      outside: outside(),
      brokers: brokers.join(','),
      settings: { processingGuarantee: 'exactly-once', ...settings },
    })

  test('a worker frozen beyond its session writes nothing, and shuts nobody out when it thaws', LIMIT, async () => {
    const sessionMs = length({ short: 3_000, long: 10_000 })
    await using run = await openRun({ sessionTimeout: sessionMs, commitInterval: '500ms', transactionTimeout: '30s' })
    const endLoad = run.load(PER_SECOND)
    const [frozen, ...others] = await run.startReady(2)
    await run.untilCommitted(200)
    // Again and again: with a transaction open or between two, in the middle of a commit.
    for (let round = 0; round < length({ short: 2, long: 5 }); round++) {
      const seen = others.map(({ changes }) => changes.length)
      const moved = frozen?.changes.length ?? 0
      frozen?.freeze()
      await eventually(() => others.every(({ changes }, i) => changes.length > (seen[i] ?? 0)), {
        what: 'the others to take over',
        limitMs: sessionMs + 10_000,
      })
      await clock.sleep(sessionMs)
      frozen?.thaw()
      await eventually(() => (frozen?.changes.slice(moved).at(-1)?.gained.length ?? 0) > 0, {
        what: 'the frozen worker to be a member again',
        limitMs: 20_000,
      })
      await run.untilCommitted((await run.committed()) + 200)
    }
    await endLoad()
    await run.untilDone()
    expect(await run.stopAll()).toEqual([0, 0])
    const verdict = await run.verdict()
    expect(verdict).toMatchObject(EXACT)
    tellFigures('exactly once, frozen for twice the session', verdict)
  })

  test(
    'a task whose transaction the broker has ended is reopened as a whole, and stays on its worker',
    LIMIT,
    async () => {
      await using run = await openRun({ sessionTimeout: '20s', commitInterval: '1s', transactionTimeout: '1500ms' })
      const endLoad = run.load(PER_SECOND)
      const [frozen, other] = await run.startReady(2)
      await run.untilCommitted(200)
      const moves = other?.changes.length
      const isReopened = (): boolean => frozen?.log.some(({ message }) => message.includes('is reopened')) === true
      // It may be caught between two transactions.
      for (let round = 1; round <= 4 && !isReopened(); round++) {
        frozen?.freeze()
        // The broker looks for transactions that are too old every second.
        await clock.sleep(5_000)
        frozen?.thaw()
        await run.untilCommitted((await run.committed()) + 200)
      }
      await eventually(isReopened, { what: 'a task to be reopened', limitMs: 20_000 })
      await run.untilCommitted((await run.committed()) + 400)
      await endLoad()
      await run.untilDone()
      expect(other?.changes.length).toBe(moves)
      expect(await run.stopAll()).toEqual([0, 0])
      const verdict = await run.verdict()
      expect(verdict).toMatchObject(EXACT)
      tellFigures('exactly once, transaction timed out', verdict)
    },
  )

  test(
    'killed at any moment, a store on disk has the committed rows up to its checkpoint and no others',
    LIMIT,
    async () => {
      await using run = await openRun({ sessionTimeout: '30s', commitInterval: '50ms' })
      const endLoad = run.load(PER_SECOND)
      const names = ['one', 'two']
      const start = (name: string) => run.start({ store: `lmdb:${directory(name)}` })
      let workers = names.map(start)
      await Promise.all(workers.map((worker) => worker.ready()))
      for (let round = 1; round <= length({ short: 3, long: 15 }); round++) {
        await run.untilCommitted((await run.committed()) + 100)
        await clock.sleep(Math.random() * 60)
        await Promise.all(workers.map((worker) => worker.kill()))
        const rows = await run.read(run.changelog)
        for (const name of names) await mustHold(run, rows, directory(name))
        // They are back in their places at once, by the ids in their stores.
        workers = names.map(start)
        await Promise.all(workers.map((worker) => worker.ready()))
      }
      await endLoad()
      await run.untilDone()
      expect(await run.stopAll()).toEqual([0, 0])
      const verdict = await run.verdict()
      expect(verdict).toMatchObject(EXACT)
      tellFigures('exactly once, all workers killed again and again', verdict)
    },
  )

  async function mustHold(run: FireRun, rows: readonly LoggedRecord[], worker: string): Promise<void> {
    const store = createLmdbStore({ directory: `${worker}/tables` })
    try {
      for (let partition = 0; partition < run.partitions; partition++) {
        const stored = await store.open('counts', partition)
        const upTo = stored.checkpoint()?.offset ?? 0
        const expected = latest(rows.filter((row) => row.partition === partition && row.offset < upTo))
        expect(new Map(stored.range().map(([key, value]) => [key.toString(), value.toString()]))).toEqual(expected)
        await stored.close()
      }
    } finally {
      await store.close()
    }
  }

  function latest(rows: readonly LoggedRecord[]): ReadonlyMap<string, string> {
    return new Map(rows.map(({ key, value }) => [String(key), String(value)]))
  }
})
