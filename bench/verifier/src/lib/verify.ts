import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Logger, systemClock, toError } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { startKafka } from '@millrace/kafka-for-tests/start'
import { partitionsBehind, partitionsLeft, showBehind } from '../checks/check-offsets.ts'
import { checkOutputs } from '../checks/check-outputs.ts'
import { checkTables } from '../checks/check-tables.ts'
import { checkTimed } from '../checks/check-timed.ts'
import type { DeliveryFigures } from '../checks/deliveries.ts'
import { readInput } from '../checks/input-facts.ts'
import { Problems, type Problem } from '../checks/problems.ts'
import { type ExpectedTimed, expectedTimed } from '../checks/timed-oracle.ts'
import { defectNamed } from '../defects/defects.ts'
import { planChaos } from './chaos-plan.ts'
import { startGenerator } from './generator-process.ts'
import { inputRecords } from './input-records.ts'
import { lookFromOutside } from './open-transport.ts'
import { runChaos } from './run-chaos.ts'
import { untilTimed } from './until-timed.ts'
import type { VerifierRun } from './verifier-run.ts'
import { verifierTopics } from './verifier-topics.ts'
import { repeatCommand, type VerifyOptions } from './verify-options.ts'
import { WorkerSlot } from './worker-slot.ts'

/** For all that was sent to be handled and committed, once nothing is done to the workers any more. */
const FINISH_LIMIT_MS = 180_000

export interface VerifyResult {
  readonly ok: boolean
  readonly problems: readonly Problem[]
  /** By output or table. */
  readonly figures: Readonly<Record<string, DeliveryFigures>>
  readonly workerStarts: number
  /** From the first worker's start until everything was committed. */
  readonly seconds: number
  /** Of which the last part was waiting for it, with all workers up. */
  readonly finishingSeconds: number
  /** Logs of the workers; kept when there are problems. */
  readonly directory: string
  readonly repeat: string
}

/**
 * One run: starts a broker, topics, workers and a generator; kills, stops and freezes the workers; lets all of it finish;
 * then recomputes everything from the input and compares.
 */
export async function verify(options: VerifyOptions, tell: (line: string) => void): Promise<VerifyResult> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-verify-'))
  const kafka = options.broker === 'kafka' ? await startKafka() : undefined
  const broker =
    kafka !== undefined
      ? `kafka://${kafka.brokers}`
      : options.broker === 'embedded'
        ? `embedded:${join(directory, 'log')}`
        : options.broker
  const run: VerifierRun = {
    ...options,
    id: `verify-${randomBytes(3).toString('hex')}`,
    durationMs: options.minutes * 60_000,
    broker,
    directory,
    startMs: systemClock().now() - options.records,
  }
  const problems = new Problems()
  try {
    const expected = expectedTimed([...inputRecords(run)], run, verifierTopics(run.id).c.partitions)
    const measured = await runUnderFire(run, options, { problems, expected }, tell)
    tell('reading and comparing')
    const figures = await lookFromOutside(broker, logInto(tell), (transport) =>
      compare(transport, { run, options, expected, problems }),
    )
    const ok = problems.all.length === 0
    if (ok) await rm(directory, { recursive: true, force: true })
    return { ok, problems: problems.all, figures, ...measured, directory, repeat: repeatCommand(options) }
  } finally {
    await kafka?.stop()
  }
}

async function runUnderFire(
  run: VerifierRun,
  options: VerifyOptions,
  { problems, expected }: { readonly problems: Problems; readonly expected: ExpectedTimed },
  tell: (line: string) => void,
): Promise<Pick<VerifyResult, 'seconds' | 'finishingSeconds' | 'workerStarts'>> {
  const clock = systemClock()
  const defect = run.defect === undefined ? undefined : defectNamed(run.defect)
  await lookFromOutside(run.broker, logInto(tell), createTopics(run))
  const slots = Array.from({ length: options.workers }, (_, slot) => new WorkerSlot(slot, run, defect))
  const generator = startGenerator(run)
  try {
    for (const slot of slots) slot.start()
    await Promise.all(slots.map((slot) => slot.ready()))
    const beganMs = clock.monotonic()
    tell('workers are ready')
    // From here on until all are thawed this process touches no broker: on the embedded log a frozen worker may hold a lock.
    await runChaos(planChaos({ ...run, ...options }), slots, (line) => tell(`${line}  (${generator.sent} sent)`))
    const calmMs = clock.monotonic()
    await generator.done
    for (const slot of slots) slot.start()
    tell('everything is sent; finishing')
    await lookFromOutside(run.broker, logInto(tell), async (transport) => {
      if (!(await untilFinished(transport, run, slots, problems))) return
      const untold = await untilTimed(transport, verifierTopics(run.id), expected)
      if (untold > 0) tell(`${untold} windows, pairs and timers have not come in time`)
    })
    const endMs = clock.monotonic()
    const ready = await Promise.allSettled(slots.map((slot) => slot.ready()))
    for (const one of ready)
      if (one.status === 'rejected') problems.add('workers that ended badly', toError(one.reason).message)
    await Promise.all(slots.map((slot) => slot.stop()))
    for (const { badEnds } of slots)
      for (const { slot, what, log } of badEnds)
        problems.add('workers that ended badly', `worker ${slot} ${what}: ${log}`)
    return {
      seconds: Math.round((endMs - beganMs) / 100) / 10,
      finishingSeconds: Math.round((endMs - calmMs) / 100) / 10,
      workerStarts: slots.reduce((sum, { starts }) => sum + starts, 0),
    }
  } finally {
    generator.kill()
    await Promise.all(slots.map((slot) => slot.kill()))
  }
}

function createTopics({ id }: VerifierRun): (transport: Transport) => Promise<void> {
  const { a, b, c, d, counted, out, routes, grouped, timed, late } = verifierTopics(id)
  const all = [a, b, c, d, counted, out, ...routes, grouped, timed, late]
  return async (transport) => {
    const admin = transport.admin()
    await admin.createTopics(
      all.map(({ name, partitions }) => ({ name, partitions, replicationFactor: -1, config: {} })),
    )
    await admin.close()
  }
}

/** Until the committed offsets are at the ends; gives whether they are. Workers that end meanwhile are started again. */
async function untilFinished(
  transport: Transport,
  run: VerifierRun,
  slots: readonly WorkerSlot[],
  problems: Problems,
): Promise<boolean> {
  const clock = systemClock()
  const untilMs = clock.monotonic() + FINISH_LIMIT_MS
  // Repartition topics grow when the others are done: at the ends twice in a row, some commits apart.
  for (let atEnd = 0; atEnd < 2;) {
    await clock.sleep(Math.max(250, 2 * run.commitMs))
    const behind = await partitionsBehind(transport, run)
    atEnd = behind.length === 0 ? atEnd + 1 : 0
    if (behind.length > 0 && clock.monotonic() > untilMs) {
      for (const one of behind) problems.add('not finished in time', showBehind(one))
      return false
    }
    for (const slot of slots) slot.start()
  }
  return true
}

interface Compared {
  readonly run: VerifierRun
  readonly options: VerifyOptions
  readonly expected: ExpectedTimed
  readonly problems: Problems
}

async function compare(
  transport: Transport,
  { run, options, expected, problems }: Compared,
): Promise<VerifyResult['figures']> {
  // Clean stops leave no doubles either.
  const exact = run.guarantee === 'exactly-once' || (options.kills === 0 && options.freezes === 0)
  for (const one of await partitionsLeft(transport, run)) problems.add('offsets not at the end', showBehind(one))
  const context = { transport, run, exact, problems, input: await readInput(transport, run, problems) }
  const { deliveries, regrouped } = await checkOutputs(context)
  const tables = await checkTables(context, regrouped)
  return { ...deliveries, ...tables, ...(await checkTimed(context, expected)) }
}

function logInto(tell: (line: string) => void): Logger {
  const say = (fields: object, message: string): void => tell(`${message} ${JSON.stringify(fields)}`)
  const sayError = (fields: object, message: string): void =>
    tell(`${message} ${'err' in fields ? toError(fields.err).message : JSON.stringify(fields)}`)
  return { debug: () => {}, info: () => {}, warn: say, error: sayError }
}
