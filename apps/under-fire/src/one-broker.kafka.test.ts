import { join } from 'node:path'
import { eventually } from '@millrace/conformance'
import { systemClock } from '@millrace/core'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Disconnect, faultyProxy } from './faulty-proxy.ts'
import { directories } from './directories.ts'
import { type FireRun, fireRun, type FireRunOptions } from './fire-run.ts'
import { frozenBuild } from './frozen-build.ts'
import { lateRowsTests } from './late-rows.ts'
import { lostAnswersTests } from './lost-answers.ts'
import { logLoss } from './log-loss.ts'
import { outsideOf } from './outside.ts'
import { SharedOutage } from './shared-outage.ts'
import { isLong, length } from './test-length.ts'
import { rollingUpgrade } from './upgrade.ts'
import { EXACT, NOTHING_LOST, tellFigures } from './verdict.ts'

const clock = systemClock()
const LIMIT = { timeout: isLong ? 300_000 : 120_000 }
const PER_SECOND = 200
const OUTAGE_MS = length({ short: 10_000, long: 60_000 })
const proxy = await faultyProxy()

describeOwnKafka('one broker, behind a proxy', { advertisedPorts: [proxy.port] }, (kafka) => {
  const brokers = [`127.0.0.1:${proxy.port}`]
  beforeAll(() => proxy.target(kafka.nodes[0]?.port ?? 0))
  afterAll(() => proxy.close())
  const outside = outsideOf(brokers)
  const directory = directories()
  const frozen = frozenBuild()
  const openRun = (options: Partial<FireRunOptions> = {}): Promise<FireRun> =>
    fireRun({ outside: outside(), brokers: brokers.join(','), ...options })

  const outage = new SharedOutage({ begin: () => kafka.kill(1), end: () => kafka.resume(1) })
  const scenario = { outside, brokers: brokers.join(',') }
  const data = join(kafka.nodes[0]?.directory ?? '', 'data')

  describe.concurrent('stopped for a while and back', () => {
    test(
      'the workers go on by themselves',
      LIMIT,
      outage.through(async (outage) => {
        await using run = await openRun({ settings: { web: { enabled: false, readyGrace: '2s' } } })
        const endLoad = run.load(PER_SECOND)
        const workers = await run.startReady(2)
        await run.untilCommitted(400)
        await outage.begins()
        await clock.sleep(OUTAGE_MS)
        for (const worker of workers) {
          expect(worker.alive).toBe(true)
          const { health } = await worker.report({ health: true })
          const broker = expect.stringMatching(/^No broker can be reached for \d+ s: 127\.0\.0\.1:\d+\.$/)
          const lease = expect.stringMatching(/^The lease on its partitions has run out /)
          expect(health).toMatchObject({ ready: false, reasons: expect.arrayContaining([broker, lease]) })
        }
        await outage.ends()
        const upMs = clock.monotonic()
        const before = await run.committed()
        await run.untilCommitted(before + 1)
        const backMs = Math.round(clock.monotonic() - upMs)
        await run.untilCommitted(before + 400)
        for (const worker of workers)
          await eventually(async () => (await worker.report({ health: true })).health?.ready, {
            what: 'it to be ready again',
          })
        await endLoad()
        await run.untilDone()
        expect(await run.stopAll()).toEqual([0, 0])
        // Whatever number of loops waits for the broker: one line in ten seconds, and one at the end. It may be gone once more
        // while it starts.
        const lines = workers.map(({ log }) =>
          log.map(({ message }) => message).filter((text) => /broker .*:\d+/.test(text)),
        )
        for (const texts of lines) {
          const gone = texts.filter((text) => text.includes(`Kafka broker ${brokers[0]} cannot be reached: `))
          expect(gone.length).toBeGreaterThan(0)
          expect(gone.length).toBeLessThan(OUTAGE_MS / 10_000 + 3)
          expect(texts.at(-1)).toMatch(/ is back after [\d.]+ m?s\.$/)
          expect(texts.length).toBeLessThanOrEqual(2 * gone.length)
        }
        const verdict = await run.verdict()
        expect(verdict).toMatchObject(NOTHING_LOST)
        tellFigures(
          `broker away for ${OUTAGE_MS} ms: ${lines.map((texts) => texts.length).join(' and ')} lines of the log, commits again ${backMs} ms after it is up`,
          verdict,
        )
      }),
    )

    test(
      'without its last records: workers that had read them find out',
      LIMIT,
      outage.through(logLoss(scenario, data)),
    )

    test(
      'in a rolling upgrade from the frozen build, one worker stopped, one killed, and one set back: every number counts once, and stores are kept',
      LIMIT,
      outage.through(rollingUpgrade({ ...scenario, directory, frozen })),
    )
  })

  test('frozen for a while: sends in flight stay bounded, and the workers go on when it thaws', LIMIT, async () => {
    const maxPendingSendBytes = 2 << 20
    const settings = { maxPendingSendBytes, shutdownTimeout: '3s' } as const
    await using run = await openRun({ settings, plan: { paddingBytes: 1000 } })
    await run.send(12_000)
    const [hung, ...workers] = await run.startReady(3)
    await run.untilCommitted(1000)
    hung?.tell({ do: 'hold' })
    const broker = kafka.pids[0]
    if (broker === undefined) throw new Error('There is no broker.')
    const sending = run.send(1000)
    process.kill(broker, 'SIGSTOP')
    const frozenMs = clock.monotonic()
    let most = 0
    let stoppedMs = 0
    try {
      // Neither its event nor a request to the broker comes to an end, and it is gone all the same.
      expect(await hung?.stop()).toBe(0)
      stoppedMs = Math.round(clock.monotonic() - frozenMs)
      await eventually(
        async () => {
          const reports = await Promise.all(workers.map((worker) => worker.report()))
          for (const { stats } of reports) most = Math.max(most, stats?.pendingSends.bytes ?? 0)
          return clock.monotonic() - frozenMs > OUTAGE_MS
        },
        { what: 'the time to pass', limitMs: OUTAGE_MS + 10_000 },
      )
    } finally {
      process.kill(broker, 'SIGCONT')
    }
    const thawedMs = clock.monotonic()
    await run.untilCommitted((await run.committed()) + 1)
    const backMs = Math.round(clock.monotonic() - thawedMs)
    await sending
    await run.untilDone()
    expect(most).toBeLessThan(1.5 * maxPendingSendBytes)
    expect(await run.stopAll()).toEqual([0, 0])
    const verdict = await run.verdict()
    expect(verdict).toMatchObject(NOTHING_LOST)
    tellFigures(
      `broker frozen for ${OUTAGE_MS} ms: at most ${most} bytes of pending sends, commits again after ${backMs} ms; a worker stopped meanwhile took ${stoppedMs} ms (shutdownTimeout 3 s)`,
      verdict,
    )
  })

  test('connections cut in the middle of requests and answers', LIMIT, async () => {
    await using run = await openRun()
    const endLoad = run.load(PER_SECOND)
    const workers = await run.startReady(2)
    await run.untilCommitted(400)
    const cutsBefore = proxy.disconnects
    const places: readonly Disconnect[] = ['request', 'before answer', 'answer']
    for (let round = 0; round < length({ short: 12, long: 60 }); round++) {
      const before = await run.committed()
      proxy.disconnect(places[round % places.length] ?? 'request')
      await run.untilCommitted(before + 40)
    }
    const cuts = proxy.disconnects - cutsBefore
    await endLoad()
    await run.untilDone()
    expect(await run.stopAll()).toEqual([0, 0])
    expect(cuts).toBeGreaterThan(50)
    const verdict = await run.verdict()
    // Nobody has crashed: lost answers alone double nothing.
    expect(verdict).toMatchObject(EXACT)
    const lost = workers.flatMap(({ changes }) => changes.slice(1)).length
    tellFigures(`${cuts} connections cut, ${lost} further rebalances`, verdict)
  })

  lostAnswersTests(outsideOf(brokers, { requestTimeoutMs: 2_000 }), proxy)
  lateRowsTests(scenario, proxy)
})
