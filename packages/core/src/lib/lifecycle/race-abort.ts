/**
 * Waits for a promise, but no longer than until the signal aborts: then it rejects with the signal's reason. The promise
 * itself goes on; whatever becomes of it afterwards is nobody's concern. Leaves no listener behind.
 *
 * @example
 * const batch = await raceAbort(nextBatch, worker.signal)
 */
export function raceAbort<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    const done = (): void => signal.removeEventListener('abort', onAbort)
    promise.then(
      (value) => {
        done()
        resolve(value)
      },
      (error: unknown) => {
        done()
        reject(error)
      },
    )
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}
