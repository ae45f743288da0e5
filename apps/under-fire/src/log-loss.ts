import { readdir, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '@millrace/conformance'
import type { Transport } from '@millrace/core/driver'
import type { WorkerProcess } from '@millrace/verifier'
import { expect } from 'vitest'
import { type FireRun, fireRun, type FireRunOptions } from './fire-run.ts'
import type { Outage } from './shared-outage.ts'

const SENT = 1000
const LEFT = 400
/** Of a record batch: its first offset, its length after these two, and how far its last offset is from the first. */
const LENGTH_AT = 8
const HEADER_BYTES = 12
const LAST_OFFSET_DELTA_AT = 23

/** A broker that comes back without its last records is found out by workers that had read them. `data`: its directory. */
export function logLoss(
  { outside, brokers }: { readonly outside: () => Transport; readonly brokers: string },
  data: string,
): (outage: Outage) => Promise<void> {
  return async (outage) => {
    const started = await Promise.all([
      working({ onOffsetLost: 'earliest' }),
      working({}),
      working({ onOffsetLost: 'earliest', processingGuarantee: 'exactly-once' }),
    ])
    await using goesOn = started[0]
    await using stops = started[1]
    await using exactlyOnce = started[2]
    await outage.begins()
    const ends: number[] = []
    for (const { run } of [goesOn, stops, exactlyOnce]) ends.push(await cutOffLog(data, `${run.numbers}-0`, LEFT))
    await outage.ends()
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
  }

  /** One that has handled and committed all there is. */
  async function working(settings: NonNullable<FireRunOptions['settings']>): Promise<Working> {
    const run = await fireRun({ outside: outside(), brokers, partitions: 1, settings })
    const [worker] = await run.startReady(1)
    if (worker === undefined) throw new Error('There is no worker.')
    for (let sent = 0; sent < SENT; sent += SENT / 10) await run.send(SENT / 10)
    await run.untilDone()
    return { run, worker, [Symbol.asyncDispose]: () => run[Symbol.asyncDispose]() }
  }
}

interface Working extends AsyncDisposable {
  readonly run: FireRun
  readonly worker: WorkerProcess
}

/**
 * Takes the records from an offset on away from a stopped broker's partition, as an unclean election or a disk that lied
 * about its writes does. Whole batches only: what is left ends at or before that offset, and is given back.
 */
async function cutOffLog(dataDirectory: string, topicPartition: string, offset: number): Promise<number> {
  const directory = join(dataDirectory, topicPartition)
  const segments = (await readdir(directory)).filter((name) => name.endsWith('.log'))
  if (segments.length !== 1 || segments[0] === undefined)
    throw new Error(`${topicPartition} should have one segment and has ${segments.length}.`)
  const file = join(directory, segments[0])
  const bytes = await readFile(file)
  let at = 0
  let end = 0
  while (at + HEADER_BYTES < bytes.length) {
    const next = Number(bytes.readBigInt64BE(at)) + bytes.readInt32BE(at + LAST_OFFSET_DELTA_AT) + 1
    if (next > offset) break
    end = next
    at += HEADER_BYTES + bytes.readInt32BE(at + LENGTH_AT)
  }
  await truncate(file, at)
  return end
}
