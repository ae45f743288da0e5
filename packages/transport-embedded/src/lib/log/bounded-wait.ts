import { deferred, type Clock } from '@millrace/core'

/** Waits for a promise, but no longer than the limit in milliseconds. */
export type BoundedWait = (promise: Promise<unknown>, limitMs: number) => Promise<void>

/** Measures the limit by a clock. */
export function boundedWaitOn(clock: Clock): BoundedWait {
  return async (promise, limitMs) => {
    const over = deferred<void>()
    const timer = clock.schedule(limitMs, over.resolve)
    try {
      await Promise.race([promise, over.promise])
    } finally {
      timer.cancel()
    }
  }
}

/** For logs without timers: waits until the promise settles. */
export const WAIT_UNTIL_SETTLED: BoundedWait = async (promise) => void (await promise)
