import { randomBytes } from 'node:crypto'
import { systemClock } from '@millrace/core'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ClusterEyes } from './cluster-eyes.ts'
import { delayedPartitionTests } from './delayed-partition.ts'
import { type FireRun, fireRun, type FireRunOptions } from './fire-run.ts'
import { outsideOf } from './outside.ts'
import { type Outage, SharedOutage } from './shared-outage.ts'
import { isLong, length } from './test-length.ts'
import { EXACT, NOTHING_LOST, tellFigures } from './verdict.ts'

const clock = systemClock()
const LIMIT = { timeout: isLong ? 300_000 : 180_000 }
const PER_SECOND = 100
const KILLED = 3

/** A broker that is gone is missed sooner. */
const settings = { 'broker.session.timeout.ms': '5000', 'broker.heartbeat.interval.ms': '1000' }

// All of it with one broker killed once: most of it is waiting.
describeOwnKafka('three brokers, one of them killed', { brokers: 3, settings }, (kafka) => {
  const brokers = kafka.brokers.split(',')
  const outside = outsideOf(brokers)
  /** A broker answers a send that lacks replicas shortly before that. */
  const impatient = outsideOf(brokers, { requestTimeoutMs: 10_000 })
  const eyes = new ClusterEyes(brokers)
  beforeAll(async () => {
    await eyes.open()
    // Makes the topics of coordinators.
    await outside()
      .admin()
      .committed('somebody', [{ topic: 'none', partition: 0 }])
    const producer = outside().transactionalProducer({ id: 'somebody', timeoutMs: 10_000 })
    await producer.init()
    await producer.close()
    await eyes.untilWhole()
  }, LIMIT.timeout)
  afterAll(() => eyes.close())
  const outage = new SharedOutage({ begin: () => kafka.kill(KILLED), end: () => kafka.resume(KILLED) })

  describe.concurrent('under load', () => {
    test(
      "the group's coordinator, a leader of source partitions as well",
      LIMIT,
      outage.through(async (outage) => {
        const id = await idWhere((id) => eyes.coordinatorOf(id))
        await using run = await openRun({ id })
        // Four partitions on three brokers: each leads one at least.
        const leaders = await Promise.all([0, 1, 2, 3].map((partition) => eyes.leaderOf(run.numbers, partition)))
        expect(leaders).toContain(KILLED)
        const backMs = await survive(run, outage)
        const verdict = await run.verdict()
        expect(verdict).toMatchObject(NOTHING_LOST)
        tellFigures(`group coordinator killed, commits again after ${backMs} ms`, verdict)
      }),
    )

    test(
      "a transaction's coordinator, exactly once",
      LIMIT,
      outage.through(async (outage) => {
        const id = await idWhere((id) => eyes.transactionCoordinatorOf(`${id}-4-0`))
        await using run = await openRun({ id, settings: { processingGuarantee: 'exactly-once' } })
        const backMs = await survive(run, outage)
        const verdict = await run.verdict()
        expect(verdict).toMatchObject(EXACT)
        tellFigures(`transaction coordinator killed, commits again after ${backMs} ms`, verdict)
      }),
    )

    delayedPartitionTests({ outside: impatient, outage, brokers: brokers.length, leader: 1 })
  })

  const openRun = (options: Partial<FireRunOptions>): Promise<FireRun> =>
    fireRun({ outside: outside(), brokers: kafka.brokers, ...options })

  /** Two workers under load; the run must go on without the broker, and again with it. Gives how long it stood still. */
  async function survive(run: FireRun, outage: Outage): Promise<number> {
    const endLoad = run.load(PER_SECOND)
    await run.startReady(2)
    await run.untilCommitted(2 * PER_SECOND)
    await outage.begins()
    const killedMs = clock.monotonic()
    const before = await run.committed()
    await run.untilCommitted(before + PER_SECOND)
    const backMs = clock.monotonic() - killedMs
    await clock.sleep(length({ short: 0, long: 60_000 }))
    await outage.ends()
    await run.untilCommitted((await run.committed()) + 2 * PER_SECOND)
    await endLoad()
    await run.untilDone()
    expect(await run.stopAll()).toEqual([0, 0])
    return Math.round(backMs)
  }

  /** An id that the broker keeps which will be killed. */
  async function idWhere(nodeOf: (id: string) => Promise<number>): Promise<string> {
    for (let tries = 0; tries < 500; tries++) {
      const id = `fire-${randomBytes(4).toString('hex')}`
      if ((await nodeOf(id)) === KILLED) return id
    }
    throw new Error(`Broker ${KILLED} coordinates nothing.`)
  }
})
