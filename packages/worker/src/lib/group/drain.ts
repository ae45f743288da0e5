import { setMaxListeners } from 'node:events'
import type { Clock } from '@millrace/core'
import type { Subscription } from '../feeds/subscription.ts'
import type { TaskRuntime } from '../tasks/task-runtime.ts'
import { withinLimit } from '../worker/within-limit.ts'

/** Time for what is on its way already, a reply perhaps: giving an event up means that its work is done again. */
const PATIENCE_MS = 500

export interface DrainDeps {
  readonly clock: Clock
  readonly subscriptions: () => readonly Subscription[]
}

/**
 * Waits for events in hand while nothing is handed out. Those that wait themselves for something to be handed out, here
 * or on another worker that waits for this one, would wait for ever: after a while `signal` tells them.
 */
export class Drain {
  readonly #deps: DrainDeps
  #overdue = overdueController()

  constructor(deps: DrainDeps) {
    this.#deps = deps
  }

  /** As `WorkerContext.draining`. */
  get signal(): AbortSignal {
    return this.#overdue.signal
  }

  /** False when events were still in hand after `limitMs`. Hand-out must be stopped. */
  async run(tasks: Iterable<TaskRuntime>, limitMs: number): Promise<boolean> {
    const { clock, subscriptions } = this.#deps
    for (const subscription of subscriptions()) subscription.drain()
    const busy = [...tasks].filter((task) => task.inHand > 0)
    if (busy.length === 0) return true
    const idle = Promise.all(busy.map((task) => task.whenIdle()))
    const patienceMs = Math.min(PATIENCE_MS, limitMs / 2)
    if (await withinLimit(clock, patienceMs, idle)) return true
    this.#overdue.abort()
    return await withinLimit(clock, limitMs - patienceMs, idle)
  }

  /** Hand-out goes on. */
  over(): void {
    if (this.#overdue.signal.aborted) this.#overdue = overdueController()
  }
}

/** Each ask in flight listens to it. */
function overdueController(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}
