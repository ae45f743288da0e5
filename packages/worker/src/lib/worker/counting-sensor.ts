import { type Clock, type Redact, redactText, type Sensor, TimeHistogram, toError, type Tracing } from '@millrace/core'
import type { ErrorStats, RebalanceStats } from '../contracts/stats.ts'

const KEPT_ERRORS = 20
const MESSAGE_LENGTH = 500
/** The most sources that are counted by name; errors of further ones count as those of `other`. */
const MOST_SOURCES = 200

/** Forwards everything, and keeps what `stats` shows of errors, commits, rebalances and sent records. */
export class CountingSensor implements Sensor {
  readonly #inner: Sensor
  readonly #clock: Pick<Clock, 'now'>
  readonly #redact: Redact
  readonly #lastErrors: ErrorStats[] = []
  readonly tracing: Tracing | undefined
  readonly commitTimes: TimeHistogram = new TimeHistogram()
  errors = 0
  readonly #errorsBySource = new Map<string, number>()
  sent = 0
  clampedTimestamps = 0
  /** Wall time of the last commit, in milliseconds. */
  committedMs: number | undefined = undefined
  rebalance: Omit<RebalanceStats, 'reason'> | undefined = undefined

  constructor(inner: Sensor, clock: Pick<Clock, 'now'>, redact: Redact = redactText) {
    this.#inner = inner
    this.tracing = inner.tracing
    this.#clock = clock
    this.#redact = redact
  }

  get errorsBySource(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#errorsBySource)
  }

  /** The latest errors, newest first. */
  get lastErrors(): readonly ErrorStats[] {
    return this.#lastErrors
  }

  batchFetched(batch: Parameters<Sensor['batchFetched']>[0]): void {
    this.clampedTimestamps += batch.clampedTimestamps
    this.#inner.batchFetched(batch)
  }

  sendCompleted(sent: Parameters<Sensor['sendCompleted']>[0]): void {
    this.sent += sent.records
    this.#inner.sendCompleted(sent)
  }

  commitCompleted(commit: Parameters<Sensor['commitCompleted']>[0]): void {
    this.committedMs = this.#clock.now()
    this.commitTimes.add(commit.durationMs)
    this.#inner.commitCompleted(commit)
  }

  rebalanceStarted(): void {
    this.#inner.rebalanceStarted()
  }

  rebalanceCompleted(change: Parameters<Sensor['rebalanceCompleted']>[0]): void {
    this.rebalance = { at: new Date(this.#clock.now()).toISOString(), ...change }
    this.#inner.rebalanceCompleted(change)
  }

  recoveryProgress(progress: Parameters<Sensor['recoveryProgress']>[0]): void {
    this.#inner.recoveryProgress(progress)
  }

  errorRaised(error: Parameters<Sensor['errorRaised']>[0]): void {
    this.errors++
    const { source } = error
    const isNew = !this.#errorsBySource.has(source) && this.#errorsBySource.size >= MOST_SOURCES
    const counted = isNew ? 'other' : source
    this.#errorsBySource.set(counted, (this.#errorsBySource.get(counted) ?? 0) + 1)
    this.#lastErrors.unshift({
      at: new Date(this.#clock.now()).toISOString(),
      source: error.source,
      message: this.#redact(toError(error.error).message).slice(0, MESSAGE_LENGTH),
    })
    if (this.#lastErrors.length > KEPT_ERRORS) this.#lastErrors.pop()
    this.#inner.errorRaised(error)
  }
}
