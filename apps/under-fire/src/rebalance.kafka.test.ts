import { eventually } from '@millrace/conformance'
import { systemClock } from '@millrace/core'
import { describeKafka } from '@millrace/kafka-for-tests'
import type { WorkerProcess } from '@millrace/verifier'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fillChangelog } from './fill-changelog.ts'
import { type FireRun, fireRun, type FireRunOptions } from './fire-run.ts'
import { outsideOf } from './outside.ts'
import { isLong, length } from './test-length.ts'
import { EXACT, NOTHING_LOST, tellFigures } from './verdict.ts'

const clock = systemClock()
const LIMIT = { timeout: isLong ? 300_000 : 90_000 }
const PER_SECOND = 200

describeKafka('rebalances under load', (brokers) => {
  const outside = outsideOf(brokers)
  const openRun = (settings: FireRunOptions['settings'] = {}): Promise<FireRun> =>
    fireRun({ outside: outside(), brokers: brokers.join(','), settings })

  // One after the other, on one app: its workers come and go, and at its end nothing has been handled twice.
  describe('workers that come and go cleanly', () => {
    let run: FireRun
    let endLoad: () => Promise<void>
    beforeAll(async () => {
      // None of them dies: a short session would only tell a busy machine from an idle one.
      run = await openRun({ sessionTimeout: '10s' })
      endLoad = run.load(PER_SECOND)
    })
    afterAll(() => run[Symbol.asyncDispose]())
    const goesOn = async (): Promise<void> => run.untilCommitted((await run.committed()) + PER_SECOND)
    const running = (): readonly WorkerProcess[] => run.workers.filter(({ alive }) => alive)

    test('partitions that stay are not interrupted when another member joins and leaves', LIMIT, async () => {
      const [first] = await run.startReady(1)
      await goesOn()
      const [second] = await run.startReady(1)
      await goesOn()
      const kept = first?.changes.at(-1)?.kept.map(({ partition }) => partition) ?? []
      expect(kept.length).toBe(2)
      expect(first?.changes.at(-1)).toMatchObject({ gained: [] })
      expect(await second?.stop()).toBe(0)
      await eventually(() => first?.changes.at(-1)?.gained.length === 2, { what: 'the partitions to come back' })
      expect(first?.changes.at(-1)?.kept.map(({ partition }) => partition)).toEqual(kept)
      await goesOn()
      // The tables of kept partitions are not rebuilt: only the two that came back were, from rows of the second worker.
      const stats = (await first?.report())?.stats
      expect(stats?.states['counts']?.partitions).toEqual([0, 1, 2, 3])
      expect(stats?.rebalances).toBe(3)
    })

    test('an event in flight of a partition that stays goes on through two rebalances in a row', LIMIT, async () => {
      const [first] = running()
      // Each event takes a while now: the drain of the first rebalance is not over when the next member comes.
      first?.tell({ do: 'slow down', eventMs: 700 })
      const joining = [run.start(), run.start()]
      await clock.sleep(500)
      joining.push(run.start())
      await Promise.all(joining.map((worker) => worker.ready()))
      first?.tell({ do: 'slow down', eventMs: 0 })
      await goesOn()
    })

    test(
      'more workers than partitions: each partition has one, and another takes over when it goes',
      LIMIT,
      async () => {
        await run.startReady(2)
        await eventually(async () => (await holders()).length === run.partitions, {
          what: 'a partition for each of four',
        })
        const [one, two] = await holders()
        expect(await one?.stop()).toBe(0)
        expect(await two?.stop()).toBe(0)
        await eventually(async () => (await holders()).length === run.partitions, {
          what: 'the spare ones to take over',
        })
        await goesOn()
      },
    )

    test('after a rolling restart too, nothing has been handled twice', LIMIT, async () => {
      for (const old of running().slice(0, 3)) {
        expect(await old.stop()).toBe(0)
        await run.startReady(1)
      }
      await goesOn()
      await endLoad()
      await run.untilDone()
      expect(await run.stopAll()).toEqual([0, 0, 0, 0])
      // Nobody who stops is told that it was thrown out.
      expect(run.workers.flatMap(({ log }) => log.filter(({ message }) => message.includes('has gone on')))).toEqual([])
      const verdict = await run.verdict()
      expect(verdict).toMatchObject(EXACT)
      // Each has had a partition at some time.
      expect(Object.keys(verdict.byWorker).length).toBe(run.workers.length)
      tellFigures('workers that come and go cleanly', verdict)
    })

    async function holders(): Promise<readonly WorkerProcess[]> {
      const reports = await Promise.all(running().map(async (worker) => ({ worker, ...(await worker.report()) })))
      return reports.flatMap(({ worker, stats }) => ((stats?.sources.length ?? 0) > 0 ? [worker] : []))
    }
  })

  test('workers that join while others recover a large changelog', LIMIT, async () => {
    const rows = length({ short: 200_000, long: 2_000_000 })
    await using run = await openRun()
    // Offsets first: rows without any would be refused.
    await run.send(400)
    const [maker] = await run.startReady(1)
    await run.untilDone()
    expect(await maker?.stop()).toBe(0)
    await fillChangelog(outside(), { topic: run.changelog, partitions: run.partitions, rows })

    const endLoad = run.load(PER_SECOND)
    const startedMs = clock.monotonic()
    const workers = [run.start()]
    await eventually(() => (workers[0]?.changes.length ?? 0) > 0, {
      what: 'the first to have partitions',
      limitMs: 30_000,
    })
    workers.push(run.start(), run.start())
    await Promise.all(workers.map((worker) => worker.ready()))
    const readyMs = clock.monotonic() - startedMs
    await run.untilCommitted((await run.committed()) + 400)
    // A partition that is on its way from one to another is held by nobody for a moment.
    const reports = await eventually(
      async () => {
        const all = await Promise.all(workers.map((worker) => worker.report()))
        const held = all.reduce((sum, { stats }) => sum + (stats?.states['counts']?.rows ?? 0), 0)
        return held === rows + 64 ? all : undefined
      },
      { what: `${rows + 64} rows on the workers` },
    )
    const restored = reports.map(({ stats }) => stats?.states['counts']?.recovery.restoredRows ?? 0)
    await endLoad()
    await run.untilDone()
    expect(await run.stopAll()).toEqual([0, 0, 0])
    const verdict = await run.verdict()
    expect(verdict).toMatchObject(EXACT)
    tellFigures(
      `joining while recovering: ${rows} rows, ready after ${Math.round(readyMs)} ms, restored ${restored.join(' + ')}`,
      verdict,
    )
  })

  // Side by side: most of it is waiting.
  describe.concurrent('a zombie', () => {
    test(
      'a handler that blocks the event loop for twice the session writes nothing over its successor',
      LIMIT,
      async () => {
        const sessionMs = length({ short: 3_000, long: 10_000 })
        const blockMs = length({ short: 6_000, long: 30_000 })
        await using run = await openRun({ sessionTimeout: sessionMs, commitInterval: '1s' })
        const endLoad = run.load(PER_SECOND)
        const [blocked, other] = await run.startReady(2)
        await run.untilCommitted(200)
        const movesBefore = other?.changes.length ?? 0
        const blockedBefore = blocked?.changes.length ?? 0
        blocked?.tell({ do: 'block', ms: blockMs })
        await eventually(() => (other?.changes.length ?? 0) > movesBefore, {
          what: 'the other worker to take over',
          limitMs: sessionMs + 10_000,
        })
        await eventually(() => blocked?.changes.slice(blockedBefore).some(({ lost }) => lost.length > 0), {
          what: 'the blocked worker to see its loss',
          limitMs: blockMs + 20_000,
        })
        await eventually(() => (blocked?.changes.at(-1)?.gained.length ?? 0) > 0, {
          what: 'the blocked worker to be a member again',
          limitMs: 20_000,
        })
        await run.untilCommitted((await run.committed()) + 200)
        await endLoad()
        await run.untilDone()
        expect(await run.stopAll()).toEqual([0, 0])
        const verdict = await run.verdict()
        expect(verdict).toMatchObject(NOTHING_LOST)
        tellFigures(`event loop blocked for ${blockMs} ms, session ${sessionMs} ms`, verdict)
      },
    )

    test(
      'a worker frozen for twice the session writes nothing over its successor, and goes on when it thaws',
      LIMIT,
      async () => {
        const sessionMs = length({ short: 3_000, long: 10_000 })
        await using run = await openRun({ sessionTimeout: sessionMs, commitInterval: '1s' })
        const endLoad = run.load(PER_SECOND)
        const [frozen, other] = await run.startReady(2)
        await run.untilCommitted(200)
        const movesBefore = other?.changes.length ?? 0
        const frozenBefore = frozen?.changes.length ?? 0
        frozen?.freeze()
        const frozenMs = clock.monotonic()
        await eventually(() => (other?.changes.length ?? 0) > movesBefore, {
          what: 'the other worker to take over',
          limitMs: sessionMs + 10_000,
        })
        const takenOverMs = clock.monotonic() - frozenMs
        await clock.sleep(Math.max(2 * sessionMs - takenOverMs, 0))
        frozen?.thaw()
        await eventually(() => frozen?.changes.slice(frozenBefore).some(({ lost }) => lost.length > 0), {
          what: 'the frozen worker to see its loss',
          limitMs: 20_000,
        })
        await eventually(() => (frozen?.changes.at(-1)?.gained.length ?? 0) > 0, {
          what: 'the frozen worker to be a member again',
          limitMs: 20_000,
        })
        await run.untilCommitted((await run.committed()) + 200)
        await endLoad()
        await run.untilDone()
        expect(await run.stopAll()).toEqual([0, 0])
        const verdict = await run.verdict()
        expect(verdict).toMatchObject(NOTHING_LOST)
        tellFigures(`frozen for ${2 * sessionMs} ms, taken over after ${Math.round(takenOverMs)} ms`, verdict)
      },
    )
  })
})
