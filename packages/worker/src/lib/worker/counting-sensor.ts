import type { Sensor } from '@millrace/core'

/** Passes everything on, and counts errors and records sent for `stats`. */
export class CountingSensor implements Sensor {
  readonly #inner: Sensor
  errors = 0
  sent = 0

  constructor(inner: Sensor) {
    this.#inner = inner
  }

  batchFetched(batch: Parameters<Sensor['batchFetched']>[0]): void {
    this.#inner.batchFetched(batch)
  }

  sendCompleted(sent: Parameters<Sensor['sendCompleted']>[0]): void {
    this.sent += sent.records
    this.#inner.sendCompleted(sent)
  }

  commitCompleted(commit: Parameters<Sensor['commitCompleted']>[0]): void {
    this.#inner.commitCompleted(commit)
  }

  rebalanceStarted(): void {
    this.#inner.rebalanceStarted()
  }

  rebalanceCompleted(change: Parameters<Sensor['rebalanceCompleted']>[0]): void {
    this.#inner.rebalanceCompleted(change)
  }

  recoveryProgress(progress: Parameters<Sensor['recoveryProgress']>[0]): void {
    this.#inner.recoveryProgress(progress)
  }

  errorRaised(error: Parameters<Sensor['errorRaised']>[0]): void {
    this.errors++
    this.#inner.errorRaised(error)
  }
}
