import type { Clock } from '../../contracts/clock.ts'

/** A promise that is settled from outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

/**
 * @example
 * const ready = deferred<void>()
 * ready.resolve()
 * await ready.promise
 */
export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

/**
 * Waits for a promise, but at most until the signal aborts: then it rejects with the signal's reason. The promise
 * itself continues; its later outcome is ignored. Leaves no listener behind.
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

/**
 * Waits for a promise, but at most `limitMs`: then it rejects with the error that `onTimeout` makes. The promise itself
 * continues; its later outcome is ignored. Leaves no timer behind.
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

/**
 * Waits until `work` has settled, at most `limitMs`. Returns false if the time ran out, and throws if `work` rejects.
 * The work itself continues. Leaves no timer behind.
 *
 * @example
 * if (!(await withinLimit(clock, 5000, consumer.close()))) log.warn({}, 'The consumer did not close within 5 s.')
 */
export async function withinLimit(
  clock: Pick<Clock, 'schedule'>,
  limitMs: number,
  work: PromiseLike<unknown>,
): Promise<boolean> {
  const late = deferred<false>()
  const timer = clock.schedule(limitMs, () => late.resolve(false))
  try {
    return await Promise.race([work.then(() => true as const), late.promise])
  } finally {
    timer.cancel()
  }
}

/** The growth of waits between attempts. */
export interface Backoff {
  /** The wait after the first failed attempt. */
  readonly firstMs: number
  /** The longest wait. */
  readonly mostMs: number
  /** Each wait is this many times the one before. Default 2. */
  readonly factor?: number
  /** The random share of a wait, 0 to 1, so that many clients do not retry in step. Default 0.2. */
  readonly jitter?: number
}

/**
 * How long to wait after the given number of failed attempts (1 or more).
 *
 * @param random a number from 0 up to 1, `Math.random()` for example
 * @example
 * await clock.sleep(backoffMs(failures, { firstMs: 100, mostMs: 10_000 }, Math.random()))
 */
export function backoffMs(
  failures: number,
  { firstMs, mostMs, factor = 2, jitter = 0.2 }: Backoff,
  random: number,
): number {
  const fullMs = Math.min(mostMs, firstMs * factor ** Math.max(0, failures - 1))
  return fullMs * (1 - jitter * random)
}

/** Resolves when the signal aborts. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Resolves when this turn of the event loop is over, and everything that was ready in it has run. */
export function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
