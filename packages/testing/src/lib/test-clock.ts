import { type Clock, type ManualClock, type Scheduled, type ContextStorage } from '@millrace/core'

/** A manual clock that knows how many of its timers agents wait for. */
export interface TestClock extends Clock {
  /** Timers set while an agent was at work: an event that stays in hand may be waiting for one of them. */
  agentTimers(): number
}

/** Wraps the clock that an app under test is given. */
export function testClock(manual: ManualClock, contexts: ContextStorage): TestClock {
  let agentTimers = 0
  const counted = (schedule: (done: () => void) => Scheduled): Scheduled => {
    if (contexts.getStore()?.agent === undefined) return schedule(() => {})
    agentTimers++
    let counts = true
    const done = (): void => {
      if (counts) agentTimers--
      counts = false
    }
    const scheduled = schedule(done)
    return {
      cancel: () => {
        done()
        scheduled.cancel()
      },
    }
  }
  return {
    now: () => manual.now(),
    monotonic: () => manual.monotonic(),
    cpuTime: () => manual.cpuTime(),
    elapsedSince: (monotonicMs) => manual.elapsedSince(monotonicMs),
    schedule: (delayMs, fn) =>
      counted((done) =>
        manual.schedule(delayMs, () => {
          done()
          fn()
        }),
      ),
    sleep: async (delayMs, signal) => {
      if (contexts.getStore()?.agent === undefined) return manual.sleep(delayMs, signal)
      agentTimers++
      try {
        await manual.sleep(delayMs, signal)
      } finally {
        agentTimers--
      }
    },
    agentTimers: () => agentTimers,
  }
}
