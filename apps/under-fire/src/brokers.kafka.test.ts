import { systemClock } from '@millrace/core'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { ClusterEyes } from './cluster-eyes.ts'
import { type FireRun, fireRun, type FireRunOptions } from './fire-run.ts'
import { outsideOf } from './outside.ts'
import { isLong, length } from './test-length.ts'
import { EXACT, NOTHING_LOST, tellFigures } from './verdict.ts'

const clock = systemClock()
const LIMIT = { timeout: isLong ? 300_000 : 120_000 }
const PER_SECOND = 100

describeOwnKafka('three brokers, one of them killed under load', { brokers: 3 }, (kafka) => {
  const brokers = kafka.brokers.split(',')
  const outside = outsideOf(brokers)
  const eyes = new ClusterEyes(brokers)
  beforeAll(() => eyes.open())
  afterAll(() => eyes.close())
  beforeEach(() => eyes.untilWhole())

  const openRun = (options: Partial<FireRunOptions> = {}): Promise<FireRun> =>
    fireRun({ outside: outside(), brokers: kafka.brokers, ...options })

  /** Two workers under load; a node is killed, the run must go on without it, and again with it. */
  async function survive(run: FireRun, nodeOf: () => Promise<number>): Promise<number> {
    const endLoad = run.load(PER_SECOND)
    await run.startReady(2)
    await run.untilCommitted(200)
    const node = await nodeOf()
    const killedMs = clock.monotonic()
    await kafka.kill(node)
    const before = await run.committed()
    await run.untilCommitted(before + 100)
    const backMs = clock.monotonic() - killedMs
    await clock.sleep(length({ short: 0, long: 60_000 }))
    await kafka.resume(node)
    await run.untilCommitted((await run.committed()) + 200)
    await endLoad()
    await run.untilDone()
    expect(await run.stopAll()).toEqual([0, 0])
    return Math.round(backMs)
  }

  test('the leader of a source partition', LIMIT, async ({ skip }) => {
    if (!isLong) return skip('In short runs the next test kills a leader of source partitions.')
    await using run = await openRun()
    const backMs = await survive(run, () => eyes.leaderOf(run.numbers, 0))
    const verdict = await run.verdict()
    expect(verdict).toMatchObject(NOTHING_LOST)
    tellFigures(`leader killed, commits again after ${backMs} ms`, verdict)
  })

  test("the group's coordinator, a leader of source partitions as well", LIMIT, async () => {
    await using run = await openRun()
    const backMs = await survive(run, async () => {
      const node = await eyes.coordinatorOf(run.id)
      // Four partitions on three nodes: each leads one at least.
      const leaders = await Promise.all([0, 1, 2, 3].map((partition) => eyes.leaderOf(run.numbers, partition)))
      expect(leaders).toContain(node)
      return node
    })
    const verdict = await run.verdict()
    expect(verdict).toMatchObject(NOTHING_LOST)
    tellFigures(`group coordinator killed, commits again after ${backMs} ms`, verdict)
  })

  test("a transaction's coordinator, exactly once", LIMIT, async () => {
    await using run = await openRun({ settings: { processingGuarantee: 'exactly-once' } })
    const backMs = await survive(run, () => eyes.transactionCoordinatorOf(`${run.id}-4-0`))
    const verdict = await run.verdict()
    expect(verdict).toMatchObject(EXACT)
    tellFigures(`transaction coordinator killed, commits again after ${backMs} ms`, verdict)
  })
})
