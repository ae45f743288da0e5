import type { Clock, Scheduled } from '../../contracts/clock.ts'
import { WallLeaps } from './wall-leaps.ts'

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

/**
 * The clock of the machine. The runtime's timers may fire early (they count from the start of the turn that set them)
 * and are limited to 24 days: a timer that fires early is set again.
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
      timer = setTimeout(
        () => {
          const stillMs = dueMs - performance.now()
          if (stillMs > 0) arm(stillMs)
          else fn()
        },
        Math.min(Math.max(leftMs, 0), LONGEST_TIMEOUT_MS),
      )
    }
    arm(delayMs)
    return { cancel: () => clearTimeout(timer) }
  }
  const leaps = new WallLeaps()
  const monotonic = (): number => {
    const nowMs = performance.now()
    leaps.look(nowMs, Date.now())
    return nowMs
  }
  return {
    now: () => Date.now(),
    monotonic,
    elapsedSince: (monotonicMs) => monotonic() - monotonicMs + leaps.since(monotonicMs),
    cpuTime: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    },
    schedule,
    sleep: (delayMs, signal) => sleepOn(schedule, delayMs, signal),
  }
}

/** `Clock.sleep` in terms of `Clock.schedule`. Leaves neither timer nor listener behind. */
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
