import { systemClock } from '@millrace/core'

const clock = systemClock()
const SOONEST_MS = 3
const LATEST_MS = 100

export interface EventuallyOptions {
  /** Ends the sentence "Waited 30000 ms for …". */
  readonly what: string
  /** Milliseconds. The default, 30,000, is far more than necessary, so that a busy machine does not fail. */
  readonly limitMs?: number
}

/**
 * Calls `look` repeatedly until it returns something other than `undefined` or `false`, and returns that: every 3 ms,
 * and after two seconds every 100 ms, because `look` may ask a busy broker. Rejects when the limit has passed, or at
 * once with an error of `look`.
 *
 * @example
 * await eventually(() => received.length === 10, { what: 'ten records' })
 */
export async function eventually<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  options: EventuallyOptions,
): Promise<T> {
  const limitMs = options.limitMs ?? 30_000
  const began = clock.monotonic()
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    const waited = clock.monotonic() - began
    if (waited > limitMs) throw new Error(`Waited ${limitMs} ms for ${options.what}.`)
    await clock.sleep(Math.min(Math.max(waited / 20, SOONEST_MS), LATEST_MS))
  }
}

/** `promise`, or a rejection if it has not settled within the limit. */
export async function within<T>(promise: Promise<T>, options: EventuallyOptions): Promise<T> {
  const limitMs = options.limitMs ?? 30_000
  const settled = new AbortController()
  const late = clock.sleep(limitMs, settled.signal).then(
    () => Promise.reject(new Error(`Waited ${limitMs} ms for ${options.what}.`)),
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    settled.abort()
  }
}
