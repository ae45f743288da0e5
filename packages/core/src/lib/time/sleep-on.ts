import type { Clock } from '../../contracts/clock.ts'

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
