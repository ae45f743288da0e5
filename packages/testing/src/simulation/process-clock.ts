import type { Clock, ManualClock, Scheduled } from '@millrace/core'

/**
 * The clock of one process: its timers stand still while it is frozen, and are gone when it is dead. A process whose
 * event loop was blocked is ahead of the others by that time, because no other may wait meanwhile.
 */
export class ProcessClock implements Clock {
  readonly #clock: ManualClock
  #frozen = false
  #dead = false
  #late: (() => void)[] = []
  #blockedMs = 0

  constructor(clock: ManualClock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  monotonic(): number {
    return this.#clock.monotonic() + this.#blockedMs
  }

  elapsedSince(monotonicMs: number): number {
    return this.#clock.elapsedSince(monotonicMs - this.#blockedMs)
  }

  cpuTime(): number {
    return this.#clock.cpuTime() + this.#blockedMs
  }

  /** Simulates computing for this long. */
  block(forMs: number): void {
    this.#blockedMs += forMs
  }

  schedule(delayMs: number, fn: () => void): Scheduled {
    let cancelled = false
    const run = (): void => {
      if (!cancelled) fn()
    }
    const scheduled = this.#clock.schedule(delayMs, () => {
      if (this.#dead) return
      if (this.#frozen) this.#late.push(run)
      else run()
    })
    return {
      cancel: () => {
        cancelled = true
        scheduled.cancel()
      },
    }
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const onAbort = (): void => {
        timer.cancel()
        reject(signal?.reason)
      }
      const timer = this.schedule(delayMs, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  freeze(): void {
    this.#frozen = true
  }

  /** Runs the timers that came due meanwhile. */
  thaw(): void {
    this.#frozen = false
    for (const run of this.#late.splice(0)) run()
  }

  kill(): void {
    this.#dead = true
    this.#late = []
  }
}
