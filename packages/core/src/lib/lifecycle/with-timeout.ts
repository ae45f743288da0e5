import type { Clock } from '../../contracts/clock.ts'

/**
 * Waits for a promise, but no longer than `limitMs`: then it rejects with the error that `onTimeout` makes. The promise
 * itself goes on; whatever becomes of it afterwards is nobody's concern. Leaves no timer behind.
 *
 * @example
 * await withTimeout(producer.close(), 5000, clock, () => new MillraceError('TIMEOUT', 'The producer did not close within 5 s.'))
 */
export function withTimeout<T>(
  promise: PromiseLike<T>,
  limitMs: number,
  clock: Pick<Clock, 'schedule'>,
  onTimeout: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(limitMs, () => reject(onTimeout()))
    promise.then(
      (value) => {
        timer.cancel()
        resolve(value)
      },
      (error: unknown) => {
        timer.cancel()
        reject(error)
      },
    )
  })
}
