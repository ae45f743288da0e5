import { eventually } from '@millrace/conformance'
import type { Transport } from '@millrace/core/driver'
import type { WorkerProcess } from '@millrace/verifier'
import { expect } from 'vitest'
import { fireRun } from './fire-run.ts'
import type { FrozenBuild } from './frozen-build.ts'
import type { Outage } from './shared-outage.ts'
import { length } from './test-length.ts'
import { EXACT, tellFigures } from './verdict.ts'

const PER_SECOND = length({ short: 100, long: 4_000 })

export interface UpgradeOptions {
  readonly outside: () => Transport
  readonly brokers: string
  /** Of a store, by name. */
  readonly directory: (name: string) => string
  readonly frozen: () => FrozenBuild
}

/** A rolling upgrade from the frozen build under load, with an outage in it, and one worker set back. */
export function rollingUpgrade({
  outside,
  brokers,
  directory,
  frozen,
}: UpgradeOptions): (outage: Outage) => Promise<void> {
  return async (outage) => {
    await using run = await fireRun({
      outside: outside(),
      brokers,
      settings: {
        processingGuarantee: 'exactly-once',
        sessionTimeout: '20s',
        // Longer than any outage here: a broker that finds, while it starts, a transaction that has run out meanwhile gives it
        // up without a mark in the log.
        transactionTimeout: '5m',
        acceptableRecoveryLag: 100_000,
      },
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
    expect(stats?.states['counts']?.recovery.restoredRows).toBeLessThan(PER_SECOND * 4)
    expect(twoNew.output).not.toContain('is rebuilt from its changelog')

    await outage.begins()
    await outage.ends()
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
  }

  /** Each of them runs some of the tasks, and together they run all. */
  async function shared(workers: readonly WorkerProcess[]): Promise<void> {
    await eventually(
      async () => {
        const reports = await Promise.all(workers.map((worker) => worker.report()))
        const tasks = reports.map(({ stats }) => stats?.states['counts']?.partitions.length ?? 0)
        return tasks.every((count) => count > 0) && tasks.reduce((sum, count) => sum + count, 0) === 4
      },
      { what: 'tasks on each worker' },
    )
  }
}
