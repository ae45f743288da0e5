import { AsyncResource } from 'node:async_hooks'
import type { Clock, Scheduled } from '../../contracts/clock.ts'
import { MillraceError } from '../errors/millrace-error.ts'
import { parseDuration, type Duration } from '../units/duration.ts'
import { sleepOn } from './system-clock.ts'
import { WallLeaps } from './wall-leaps.ts'

/** A timer that is due at some time. */
export interface QueuedTimer {
  readonly dueMs: number
  /** Order among timers due at one instant. */
  readonly order: number
  readonly run: () => void
}

/** Timers by due time, then by the order in which they were set. */
export interface TimerQueue {
  readonly size: number
  add(dueMs: number, run: () => void): QueuedTimer
  /** Has no effect for a timer that is no longer queued. */
  remove(timer: QueuedTimer): void
  first(): QueuedTimer | undefined
}

/** A sorted list: a test has tens of timers, not millions. */
export function timerQueue(): TimerQueue {
  const timers: QueuedTimer[] = []
  let nextOrder = 0
  const placeOf = (dueMs: number, order: number): number => {
    let low = 0
    let high = timers.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const timer = timers[middle]
      if (timer !== undefined && (timer.dueMs < dueMs || (timer.dueMs === dueMs && timer.order < order)))
        low = middle + 1
      else high = middle
    }
    return low
  }
  return {
    get size() {
      return timers.length
    },
    add(dueMs, run) {
      const timer = { dueMs, order: nextOrder++, run }
      timers.splice(placeOf(dueMs, timer.order), 0, timer)
      return timer
    },
    remove(timer) {
      const place = placeOf(timer.dueMs, timer.order)
      if (timers[place] === timer) timers.splice(place, 1)
    },
    first: () => timers[0],
  }
}

/** A clock that stands still until it is advanced. */
export interface ManualClock extends Clock {
  /**
   * Lets time pass: runs due timers in order, and waits for quiescence before, between and after them. Calls wait for
   * one another. Rejects with the error of a timer; the time is then that of the timer.
   */
  advance(duration: Duration): Promise<void>
  /**
   * Moves the wall clock, as an administrator would, without running timers. Throws `DEFINITION_INVALID` for an invalid
   * date.
   */
  set(date: Date | number): void
  /** Suspends the machine: only wall time passes, as when a laptop is closed or a virtual machine is paused. */
  suspend(duration: Duration): void
  /** How many timers and sleeps wait. */
  pending(): number
  /** Milliseconds until the next of them; `undefined` if there is none. */
  nextInMs(): number | undefined
}

/** The initial state of a manual clock. */
export interface ManualClockOptions {
  /** Wall time at the start. Default: 2026-01-01, midnight UTC. */
  readonly now?: Date | number
  /** Resolves when only work that waits for this clock is left. Default: a few turns of the event loop. */
  readonly quiesce?: () => Promise<void>
}

const DEFAULT_NOW_MS = Date.UTC(2026, 0, 1)

// Far from any wall time and not 0, so that code which confuses the two clocks fails in tests.
const MONOTONIC_START_MS = 7_000_000.25

/**
 * A clock for tests.
 *
 * @example
 * const clock = manualClock({ now: new Date('2026-03-01T12:00:00Z') })
 * const slept = clock.sleep(3_600_000)
 * await clock.advance('1h')
 * await slept
 */
export function manualClock({ now: start = DEFAULT_NOW_MS, quiesce = fewTurns }: ManualClockOptions = {}): ManualClock {
  const timers = timerQueue()
  let passedMs = 0
  let wallStartMs = readDate(start)
  let lastAdvance: Promise<void> = Promise.resolve()
  const leaps = new WallLeaps()
  const now = (): number => wallStartMs + passedMs
  const monotonic = (): number => {
    leaps.look(MONOTONIC_START_MS + passedMs, now())
    return MONOTONIC_START_MS + passedMs
  }

  const schedule = (delayMs: number, fn: () => void): Scheduled => {
    if (!(delayMs > 0)) return soon(fn)
    // The caller that advances the clock runs the timer, but the timer must run in the async context in which it was
    // set. `AsyncResource.bind` would do the same at some twenty times the cost.
    const place = new AsyncResource('ManualClock')
    const timer = timers.add(passedMs + delayMs, () => place.runInAsyncScope(fn))
    return { cancel: () => timers.remove(timer) }
  }

  const runDue = async (untilMs: number): Promise<void> => {
    await quiesce()
    for (let timer = timers.first(); timer !== undefined && timer.dueMs <= untilMs; timer = timers.first()) {
      passedMs = timer.dueMs
      timers.remove(timer)
      timer.run()
      await quiesce()
    }
    passedMs = untilMs
  }

  return {
    now,
    monotonic,
    elapsedSince: (monotonicMs) => monotonic() - monotonicMs + leaps.since(monotonicMs),
    // Code that runs on this clock takes no time.
    cpuTime: () => 0,
    schedule,
    sleep: (delayMs, signal) => sleepOn(schedule, delayMs, signal),
    advance(duration) {
      const byMs = parseDuration(duration, 'clock.advance')
      const advanced = lastAdvance.then(() => runDue(passedMs + byMs))
      lastAdvance = advanced.catch(settled)
      return advanced
    },
    set(date) {
      wallStartMs = readDate(date) - passedMs
    },
    suspend(duration) {
      monotonic()
      wallStartMs += parseDuration(duration, 'clock.suspend')
    },
    pending: () => timers.size,
    nextInMs() {
      const first = timers.first()
      return first === undefined ? undefined : first.dueMs - passedMs
    },
  }
}

function readDate(date: Date | number): number {
  const ms = Number(date)
  if (Number.isFinite(ms)) return ms
  throw new MillraceError('DEFINITION_INVALID', 'A manual clock was given an invalid date.')
}

/** Work that is due at once needs no time to pass: it runs in a later turn, as on any clock. */
function soon(fn: () => void): Scheduled {
  const immediate = setImmediate(fn)
  return { cancel: () => clearImmediate(immediate) }
}

const TURNS = 4

async function fewTurns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** The caller of that advance gets its error; the next one only waits for it. */
function settled(): void {}
