import type { Clock, ManualClock, Scheduled } from '@millrace/core'
import type { ContextStorage, CurrentEvent, WorkerContext } from '@millrace/worker'

/** A manual clock that knows how many of its timers agents wait for. */
export interface TestClock extends Clock {
  /** How many timers were set while an agent was at work: an event in flight may wait for one of them. */
  agentTimers(): number
  /** Whether the agent's instance that has the event has set a timer that has not fired. */
  isWaiting(worker: WorkerContext, event: CurrentEvent): boolean
}

/** A timer that an agent has set. */
interface AgentTimer {
  readonly worker: WorkerContext | undefined
  readonly event: CurrentEvent | undefined
}

/** Wraps the clock of an app under test. */
export function testClock(manual: ManualClock, contexts: ContextStorage): TestClock {
  const timers = new Set<AgentTimer>()
  /** Notes a timer of the agent whose code runs; calling the result removes the note. */
  const note = (): (() => void) => {
    const work = contexts.getStore()
    if (work?.agent === undefined) return () => {}
    const timer = { worker: work.worker, event: work.event }
    timers.add(timer)
    return () => void timers.delete(timer)
  }
  return {
    now: () => manual.now(),
    monotonic: () => manual.monotonic(),
    cpuTime: () => manual.cpuTime(),
    elapsedSince: (monotonicMs) => manual.elapsedSince(monotonicMs),
    schedule: (delayMs, fn): Scheduled => {
      const over = note()
      const scheduled = manual.schedule(delayMs, () => {
        over()
        fn()
      })
      return {
        cancel: () => {
          over()
          scheduled.cancel()
        },
      }
    },
    sleep: async (delayMs, signal) => {
      const over = note()
      try {
        await manual.sleep(delayMs, signal)
      } finally {
        over()
      }
    },
    agentTimers: () => timers.size,
    // The agent may have set it for another event: of the same batch, or in another loop over its stream.
    isWaiting: (worker, { agent, instance }) =>
      [...timers].some(
        (timer) => timer.worker === worker && timer.event?.agent === agent && timer.event.instance === instance,
      ),
  }
}
