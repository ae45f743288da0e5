import { eventually } from '@millrace/conformance'
import { systemClock } from '@millrace/core'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { expect, test } from 'vitest'
import { directories } from './directories.ts'
import { fireRun } from './fire-run.ts'
import { frozenBuild } from './frozen-build.ts'
import { outsideOf } from './outside.ts'
import { length } from './test-length.ts'
import { EXACT, tellFigures } from './verdict.ts'
import type { WorkerProcess } from '@millrace/verifier'

const LIMIT = { timeout: 120_000 }
const PER_SECOND = length({ short: 100, long: 4_000 })
/** Shorter than the session: whoever is back by then has lost nothing. */
const OUTAGE_MS = 5_000
const clock = systemClock()

describeOwnKafka('a rolling upgrade from the frozen build', {}, (kafka) => {
  const outside = outsideOf([kafka.brokers])
  const directory = directories()
  const frozen = frozenBuild()

  test(
    'under load, one worker stopped and one killed, the broker gone for a while, and one set back: every number counts once, and stores are kept',
    LIMIT,
    async () => {
      await using run = await fireRun({
        outside: outside(),
        brokers: kafka.brokers,
        settings: { processingGuarantee: 'exactly-once', sessionTimeout: '20s', acceptableRecoveryLag: 100_000 },
      })
      const storeOf = (name: string): { store: string } => ({ store: `lmdb:${directory(run.id + name)}` })
      const { program } = frozen()
      await run.send(2_000)
      const [one, two] = [run.start(storeOf('one'), program), run.start(storeOf('two'), program)]
      const endLoad = run.load(PER_SECOND)
      /** They share the tasks, and go on. */
      const working = async (workers: readonly WorkerProcess[]): Promise<void> => {
        await Promise.all(workers.map((worker) => worker.ready()))
        await shared(workers)
        await run.untilCommitted((await run.committed()) + PER_SECOND / 4)
      }
      await working([one, two])

      expect(await one.stop()).toBe(0)
      const oneNew = run.start(storeOf('one'))
      // The group is of both builds now, and both count.
      await working([oneNew, two])
      await two.kill()
      const twoNew = run.start(storeOf('two'))
      await working([oneNew, twoNew])
      // Rows that are on disk from before are not read again.
      const { stats } = await twoNew.report()
      expect(stats?.parts['counts']?.recovery.restoredRows).toBeLessThan(PER_SECOND * 4)
      expect(twoNew.output).not.toContain('is rebuilt from its changelog')

      await kafka.kill(1)
      await clock.sleep(OUTAGE_MS)
      await kafka.resume(1)
      await working([oneNew, twoNew])

      // Back to the build before: as long as no format has got a new version, it reads all that this one has written.
      expect(await oneNew.stop()).toBe(0)
      await working([run.start(storeOf('one'), program), twoNew])

      await endLoad()
      await run.untilDone()
      expect(await run.stopAll()).toEqual([0, 0])
      const verdict = await run.verdict()
      expect(verdict).toMatchObject(EXACT)
      expect(Object.keys(verdict.byWorker)).toHaveLength(5)
      tellFigures('rolled from the frozen build to this one, cut off, and one worker back', verdict)
    },
  )

  /** Each of them runs some of the tasks, and together they run all. */
  async function shared(workers: readonly WorkerProcess[]): Promise<void> {
    await eventually(
      async () => {
        const reports = await Promise.all(workers.map((worker) => worker.report()))
        const tasks = reports.map(({ stats }) => stats?.parts['counts']?.partitions.length ?? 0)
        return tasks.every((count) => count > 0) && tasks.reduce((sum, count) => sum + count, 0) === 4
      },
      { what: 'tasks on each worker' },
    )
  }
})
