import { systemClock } from '@millrace/core'

const clock = systemClock()

export interface EventuallyOptions {
  /** Ends the sentence "Waited 30000 ms for …". */
  readonly what: string
  /** Milliseconds; 30,000 by default: far more than any machine needs, for a busy one must not fail. */
  readonly limitMs?: number
}

/**
 * Looks again every few milliseconds until there is something other than `undefined` or `false`, and gives it back.
 * Rejects when the limit has passed, or at once with what `look` throws.
 *
 * @example
 * await eventually(() => received.length === 10, { what: 'ten records' })
 */
export async function eventually<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  options: EventuallyOptions,
): Promise<T> {
  const limitMs = options.limitMs ?? 30_000
  const giveUpAt = clock.monotonic() + limitMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (clock.monotonic() > giveUpAt) throw new Error(`Waited ${limitMs} ms for ${options.what}.`)
    await clock.sleep(3)
  }
}

/** `promise`, or a rejection when it has not settled within the limit. */
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
