import { eventually } from '@millrace/conformance'
import { systemClock } from '@millrace/core'
import { describeKafka } from '@millrace/kafka-for-tests'
import { expect, test } from 'vitest'
import { fillChangelog } from './fill-changelog.ts'
import { fireRun } from './fire-run.ts'
import { outsideOf } from './outside.ts'
import { length } from './test-length.ts'
import { verdictOf } from './verdict.ts'
import { EXACT, tellFigures } from './verdict.ts'
import type { WorkerReport } from '@millrace/verifier'

const clock = systemClock()
const LIMIT = { timeout: 180_000 }
const PER_SECOND = 200
const PARTITIONS = 4
const ACCEPTABLE = 10_000

describeKafka('a worker that joins and would have to recover much', (brokers) => {
  const outside = outsideOf(brokers)

  test('gets partitions only when it has copies of their tables, and reads only the ends then', LIMIT, async () => {
    const rows = length({ short: 100_000, long: 4_000_000 })
    const settings = { acceptableRecoveryLag: ACCEPTABLE }
    await using run = await fireRun({
      outside: outside(),
      brokers: brokers.join(','),
      partitions: PARTITIONS,
      settings,
    })
    // Offsets first: rows without any would be refused.
    await run.send(400)
    const [maker] = await run.startReady(1)
    await run.untilDone()
    expect(await maker?.stop()).toBe(0)
    await fillChangelog(outside(), { topic: run.changelog, partitions: run.partitions, rows })

    const [first] = await run.startReady(1)
    // The longest gap is judged from here on: recovering all by itself it handled nothing.
    const fromMs = clock.now()
    const endLoad = run.load(PER_SECOND)
    await run.untilCommitted(400)
    const joinedMs = clock.monotonic()
    const [second] = await run.startReady(1)
    if (first === undefined || second === undefined) throw new Error('Two workers were started.')
    expect(second.changes[0]).toEqual({ lost: [], kept: [], gained: [] })
    await eventually(async () => partitionsOf(await second.report()).length === PARTITIONS / 2, {
      what: 'the second worker to have its share',
      limitMs: 90_000,
    })
    const sharedMs = clock.monotonic() - joinedMs
    await run.untilCommitted((await run.committed()) + 400)
    await endLoad()
    await run.untilDone()

    const { stats } = await second.report()
    const restored = stats?.states['counts']?.recovery.restoredRows ?? Infinity
    expect(stats?.states['counts']?.rows).toBeGreaterThan(rows / PARTITIONS)
    expect(restored).toBeLessThan(ACCEPTABLE)
    expect(partitionsOf(await first.report()).length).toBe(PARTITIONS / 2)
    // No rebalance without a reason: after the one in which it joined, each has brought it a partition.
    const brought = second.changes.slice(1).map(({ gained }) => gained.length)
    expect(Math.min(...brought)).toBeGreaterThan(0)
    expect(await run.stopAll()).toEqual([0, 0])
    const verdict = await run.verdict()
    expect(verdict).toMatchObject(EXACT)
    const copies = await run.read(run.copies)
    const underLoad = copies.filter(({ value }) => Number(value?.toString().split(' ')[2]) >= fromMs)
    const { longestGapMs } = verdictOf({ numbers: [], copies: underLoad, changelog: [] })
    tellFigures(
      `joining with ${rows} rows to recover: its share after ${Math.round(sharedMs)} ms in ${brought.length} moves, then read ${restored} rows`,
      { ...verdict, longestGapMs },
    )
  })
})

function partitionsOf({ stats }: WorkerReport): readonly number[] {
  return stats?.states['counts']?.partitions ?? []
}
