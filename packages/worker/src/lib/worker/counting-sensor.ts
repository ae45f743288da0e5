import { type Clock, type ErrorStats, type Sensor, TimeHistogram, toError, type Tracing } from '@millrace/core'

const KEPT_ERRORS = 20
const MESSAGE_LENGTH = 500

/** Passes everything on, and keeps what `stats` shows of errors, commits, rebalances and records sent. */
export class CountingSensor implements Sensor {
  readonly #inner: Sensor
  readonly #clock: Pick<Clock, 'now'>
  readonly #lastErrors: ErrorStats[] = []
  readonly tracing: Tracing | undefined
  readonly commitTimes: TimeHistogram = new TimeHistogram()
  errors = 0
  sent = 0
  clampedTimestamps = 0
  /** Wall time of the last commit and rebalance. */
  committedAt: number | undefined = undefined
  rebalance:
    | {
        readonly at: number
        readonly durationMs: number
        readonly lost: number
        readonly kept: number
        readonly gained: number
      }
    | undefined = undefined

  constructor(inner: Sensor, clock: Pick<Clock, 'now'>) {
    this.#inner = inner
    this.tracing = inner.tracing
    this.#clock = clock
  }

  /** Newest first. */
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
    this.committedAt = this.#clock.now()
    this.commitTimes.add(commit.durationMs)
    this.#inner.commitCompleted(commit)
  }

  rebalanceStarted(): void {
    this.#inner.rebalanceStarted()
  }

  rebalanceCompleted(change: Parameters<Sensor['rebalanceCompleted']>[0]): void {
    this.rebalance = { at: this.#clock.now(), ...change }
    this.#inner.rebalanceCompleted(change)
  }

  recoveryProgress(progress: Parameters<Sensor['recoveryProgress']>[0]): void {
    this.#inner.recoveryProgress(progress)
  }

  errorRaised(error: Parameters<Sensor['errorRaised']>[0]): void {
    this.errors++
    this.#lastErrors.unshift({
      at: this.#clock.now(),
      source: error.source,
      message: toError(error.error).message.slice(0, MESSAGE_LENGTH),
    })
    if (this.#lastErrors.length > KEPT_ERRORS) this.#lastErrors.pop()
    this.#inner.errorRaised(error)
  }
}
