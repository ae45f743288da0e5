import { join } from 'node:path'
import { eventually } from '@millrace/conformance'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { expect, test } from 'vitest'
import { cutOffLog } from './cut-off-log.ts'
import { type FireRun, fireRun, type FireRunOptions } from './fire-run.ts'
import { outsideOf } from './outside.ts'
import type { WorkerProcess } from '@millrace/verifier'

const LIMIT = { timeout: 120_000 }
const SENT = 1000
const LEFT = 400

describeOwnKafka('a broker that comes back without its last records', {}, (kafka) => {
  const outside = outsideOf([kafka.brokers])

  test('is found out by workers that had read them', LIMIT, async () => {
    const started = await Promise.all([
      working({ onOffsetLost: 'earliest' }),
      working({}),
      working({ onOffsetLost: 'earliest', processingGuarantee: 'exactly-once' }),
    ])
    await using goesOn = started[0]
    await using stops = started[1]
    await using exactlyOnce = started[2]
    const data = join(kafka.nodes[0]?.directory ?? '', 'data')
    await kafka.kill(1)
    const ends: number[] = []
    for (const { run } of [goesOn, stops, exactlyOnce]) ends.push(await cutOffLog(data, `${run.numbers}-0`, LEFT))
    await kafka.resume(1)
    for (const { run, worker } of [stops, exactlyOnce]) {
      await worker.ended(60_000)
      expect(worker.failure?.code).toBe('OFFSET_OUT_OF_RANGE')
      expect(worker.failure?.message).toMatch(
        new RegExp(`Topic "${run.numbers}" partition 0 ends at offset \\d+, before ${SENT}, which had been read`),
      )
    }

    // At least once, what is left comes again, and then what is new, at offsets that were somebody else's before.
    const { run, worker } = goesOn
    const told = (): number =>
      worker.log.filter(({ message }) => message.includes('its broker has lost records')).length
    // Before the log has grown past where reading stands, for reading tells offsets apart and no leader epochs.
    await eventually(() => told() > 0, { what: 'the worker to find out', limitMs: 60_000 })
    await run.send(SENT)
    await run.untilDone()
    expect(told()).toBe(1)
    expect(await worker.stop()).toBe(0)
    const verdict = await run.verdict()
    expect(verdict).toMatchObject({ sent: (ends[0] ?? 0) + SENT, lost: [], short: [], backward: [] })
    expect(verdict.doubles).toBe(ends[0])
  })

  /** One that has handled and committed all there is. */
  async function working(settings: NonNullable<FireRunOptions['settings']>): Promise<Working> {
    const run = await fireRun({ outside: outside(), brokers: kafka.brokers, partitions: 1, settings })
    const [worker] = await run.startReady(1)
    if (worker === undefined) throw new Error('There is no worker.')
    for (let sent = 0; sent < SENT; sent += SENT / 10) await run.send(SENT / 10)
    await run.untilDone()
    return { run, worker, [Symbol.asyncDispose]: () => run[Symbol.asyncDispose]() }
  }
})

interface Working extends AsyncDisposable {
  readonly run: FireRun
  readonly worker: WorkerProcess
}
