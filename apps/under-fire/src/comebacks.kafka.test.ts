import { eventually } from '@millrace/conformance'
import { systemClock } from '@millrace/core'
import { describeKafka } from '@millrace/kafka-for-tests'
import { expect, test } from 'vitest'
import { directories } from './directories.ts'
import { fillChangelog } from './fill-changelog.ts'
import { type FireRun, fireRun, type FireRunOptions } from './fire-run.ts'
import { outsideOf } from './outside.ts'
import { length } from './test-length.ts'
import { EXACT, NOTHING_LOST, tellFigures } from './verdict.ts'
import type { WorkerProcess } from '@millrace/verifier'

const clock = systemClock()
const LIMIT = { timeout: 120_000 }
const PER_SECOND = 100

describeKafka('what a worker leaves behind', (brokers) => {
  const outside = outsideOf(brokers)
  const directory = directories()
  const openRun = (settings: FireRunOptions['settings'] = {}): Promise<FireRun> =>
    fireRun({ outside: outside(), brokers: brokers.join(','), settings })
  const start = (run: FireRun, name: string): WorkerProcess => run.start({ store: `lmdb:${directory(run.id + name)}` })

  test(
    'killed and started again on its directory it has its partitions back at once; the others notice nothing',
    LIMIT,
    async () => {
      await using run = await openRun({ sessionTimeout: '30s' })
      const rows = length({ short: 50_000, long: 1_000_000 })
      await fill(run, rows)
      const [one, two] = [start(run, 'one'), start(run, 'two')]
      await Promise.all([one.ready(), two.ready()])
      await eventually(async () => (await partitions([one])) === 2 && (await partitions([two])) === 2, {
        what: 'two partitions for each',
      })
      await run.send(400)
      await run.untilDone()
      const moves = one.changes.length
      const had = (await two.report()).stats?.sources.map(({ partition }) => partition)
      await two.kill()
      const killedMs = clock.monotonic()
      const back = start(run, 'two')
      await run.send(400)
      await run.untilDone()
      const backMs = clock.monotonic() - killedMs
      await back.ready()
      const { stats } = await back.report()
      expect(stats?.sources.map(({ partition }) => partition)).toEqual(had)
      expect(one.changes.length).toBe(moves)
      expect(await run.stopAll()).toEqual([0, 0])
      const verdict = await run.verdict()
      expect(verdict).toMatchObject(NOTHING_LOST)
      tellFigures(
        `back after kill -9 with ${rows} rows: everything committed ${Math.round(backMs)} ms after it`,
        verdict,
      )
    },
  )

  test('with warm copies on other workers, what takes over reads only the ends of the changelogs', LIMIT, async () => {
    const rows = length({ short: 30_000, long: 1_000_000 })
    await using run = await openRun({ processingGuarantee: 'exactly-once', standbys: 1 })
    await fill(run, rows)

    const workers = ['one', 'two', 'three'].map((name) => start(run, name))
    await Promise.all(workers.map((worker) => worker.ready()))
    const endLoad = run.load(PER_SECOND)
    await eventually(async () => copiedRows(workers), { what: 'warm copies of all rows', limitMs: 60_000 })
    const [victim, ...rest] = workers
    const restoredBefore = await restored(rest)
    const owned = (await victim?.report())?.stats?.states['counts']?.rows ?? 0
    expect(owned).toBeGreaterThan(rows / 10)
    await victim?.kill()
    const killedMs = clock.monotonic()
    await eventually(async () => (await partitions(rest)) === run.partitions, {
      what: 'the others to take over',
      limitMs: 20_000,
    })
    const takenMs = clock.monotonic() - killedMs
    const read = (await restored(rest)) - restoredBefore
    expect(read).toBeLessThan(owned / 5)
    await endLoad()
    await run.untilDone()
    expect(await run.stopAll()).toEqual([0, 0])
    const verdict = await run.verdict()
    expect(verdict).toMatchObject(EXACT)
    tellFigures(
      `warm copies: ${owned} rows were lost with the worker, ${read} rows read anew, taken over after ${Math.round(takenMs)} ms`,
      verdict,
    )

    async function copiedRows(among: readonly WorkerProcess[]): Promise<boolean> {
      const reports = await Promise.all(among.map((worker) => worker.report()))
      const copies = reports.flatMap(({ stats }) => stats?.states['counts']?.standbys ?? [])
      return copies.reduce((sum, copy) => sum + copy.rows, 0) >= rows && copies.length === run.partitions
    }
  })

  /** Rows in the table, from a worker that is no more. */
  async function fill(run: FireRun, rows: number): Promise<void> {
    // Offsets first: rows without any would be refused.
    await run.send(400)
    const maker = start(run, 'maker')
    await maker.ready()
    await run.untilDone()
    expect(await maker.stop()).toBe(0)
    await fillChangelog(outside(), { topic: run.changelog, partitions: run.partitions, rows })
  }

  async function restored(workers: readonly WorkerProcess[]): Promise<number> {
    const reports = await Promise.all(workers.map((worker) => worker.report()))
    return reports.reduce((sum, { stats }) => sum + (stats?.states['counts']?.recovery.restoredRows ?? 0), 0)
  }

  async function partitions(workers: readonly WorkerProcess[]): Promise<number> {
    const reports = await Promise.all(workers.map((worker) => worker.report()))
    return reports.reduce((sum, { stats }) => sum + (stats?.states['counts']?.partitions.length ?? 0), 0)
  }
})
