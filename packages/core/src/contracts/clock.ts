/**
 * The source of all time. Nothing else in Millrace asks the runtime for the time or for a timer. Wall time may jump;
 * monotonic time never goes back, and may stand still while the machine is suspended. The two are unrelated numbers.
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds on a clock that only goes forward; may have fractions. */
  monotonic(): number
  /**
   * Milliseconds that have passed since a moment of `monotonic`, including time in which the machine was suspended, as
   * far as its wall clock shows it. Never less than `monotonic` shows; more, too, if the wall clock was set forwards.
   */
  elapsedSince(monotonicMs: number): number
  /** How long the processor has worked for this process, in milliseconds. */
  cpuTime(): number
  /** Runs `fn` once after `delayMs` of monotonic time (0 or less: in a later turn of the event loop). */
  schedule(delayMs: number, fn: () => void): Scheduled
  /** Resolves after `delayMs`; rejects with the signal's reason when it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

export interface Scheduled {
  /** Has no effect after the timer has run. */
  cancel(): void
}
