import { deferred, type Clock } from '@millrace/core'

/** Waits for a promise, but no longer than the limit in milliseconds. */
export type Patience = (promise: Promise<unknown>, limitMs: number) => Promise<void>

/** Patience on a clock. */
export function patienceOn(clock: Clock): Patience {
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
export const ENDLESS_PATIENCE: Patience = async (promise) => void (await promise)
