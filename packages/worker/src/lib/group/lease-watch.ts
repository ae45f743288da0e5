import type { Clock, Scheduled } from '@millrace/core'
import type { Lease } from './lease.ts'

export interface LeaseWatchDeps {
  readonly clock: Clock
  readonly lease: Lease
  readonly intervalMs: number
  readonly onBack: () => void
}

/** Waits for a lease that has run out to come back; runs only while somebody waits. */
export class LeaseWatch {
  readonly #deps: LeaseWatchDeps
  #timer: Scheduled | undefined
  #closed = false

  constructor(deps: LeaseWatchDeps) {
    this.#deps = deps
  }

  readonly start = (): void => {
    if (this.#timer !== undefined || this.#closed) return
    const { clock, lease, intervalMs, onBack } = this.#deps
    this.#timer = clock.schedule(intervalMs, () => {
      this.#timer = undefined
      if (lease.valid) onBack()
      else this.start()
    })
  }

  /** Looks at once: the worker has just joined. */
  look(): void {
    if (this.#timer === undefined || !this.#deps.lease.valid) return
    this.#timer.cancel()
    this.#timer = undefined
    this.#deps.onBack()
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }
}
