/**
 * Where all time comes from. Nothing else in Millrace asks the runtime for the time or for a timer.
 * Wall time may jump; monotonic time never goes back, and may stand still while the machine is suspended. The two are
 * unrelated numbers.
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds on a clock that only goes forward; may have fractions. */
  monotonic(): number
  /**
   * Milliseconds that have passed since a moment of `monotonic`, those included in which the machine was suspended, as far as
   * its wall clock tells. Never less than `monotonic` says; more also when the wall clock was set forwards.
   */
  elapsedSince(monotonicMs: number): number
  /** Milliseconds for which the processor has worked for this process. */
  cpuTime(): number
  /** Runs `fn` once after `delayMs` of monotonic time (0 and less: in a later turn of the event loop). */
  schedule(delayMs: number, fn: () => void): Scheduled
  /** Resolves after `delayMs`; rejects with the signal's reason when it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

export interface Scheduled {
  /** Does nothing when it has run already. */
  cancel(): void
}
