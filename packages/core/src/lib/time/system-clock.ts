import type { Clock, Scheduled } from '../../contracts/clock.ts'

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

/**
 * The clock of the machine. Timers longer than the runtime can hold are armed again until they are due.
 *
 * @example
 * const clock = systemClock()
 * await clock.sleep(100)
 */
export function systemClock(): Clock {
  const schedule = (delayMs: number, fn: () => void): Scheduled => {
    const dueMs = performance.now() + delayMs
    let timer: NodeJS.Timeout
    const arm = (leftMs: number): void => {
      timer = setTimeout(() => {
        const stillMs = dueMs - performance.now()
        if (stillMs > LONGEST_TIMEOUT_MS / 2) arm(stillMs)
        else fn()
      }, Math.min(Math.max(leftMs, 0), LONGEST_TIMEOUT_MS))
    }
    arm(delayMs)
    return { cancel: () => clearTimeout(timer) }
  }
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    schedule,
    sleep: (delayMs, signal) => sleepOn(schedule, delayMs, signal),
  }
}

/** `Clock.sleep` in terms of `Clock.schedule`. */
export function sleepOn(schedule: Clock['schedule'], delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = (): void => {
      scheduled.cancel()
      reject(signal?.reason)
    }
    const scheduled = schedule(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
