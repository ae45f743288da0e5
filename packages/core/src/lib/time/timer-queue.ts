/** A timer that waits for its time. */
export interface QueuedTimer {
  readonly dueMs: number
  /** Order among timers due at one instant. */
  readonly order: number
  readonly run: () => void
}

/** Timers by due time, then by the order they were set in. */
export interface TimerQueue {
  readonly size: number
  add(dueMs: number, run: () => void): QueuedTimer
  /** Does nothing for a timer that is not queued any more. */
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
