import { setMaxListeners } from 'node:events'
import { type Clock, withinLimit } from '@millrace/core'
import type { HandOut } from '../environment/hand-out.ts'
import type { Task } from './task.ts'

/**
 * Time for work that is about to finish, for example when a reply is on its way. The work of an event that is given up
 * has to be done again.
 */
const PATIENCE_MS = 500

/**
 * Waits for events in flight while none is handed out. Some events may wait for a result that only another event can
 * produce, here or on another worker that also drains. They would wait for ever, so `signal` aborts after a while.
 */
export class Drain {
  readonly #clock: Clock
  readonly #handOut: HandOut
  #overdue = overdueController()

  constructor(clock: Clock, handOut: HandOut) {
    this.#clock = clock
    this.#handOut = handOut
  }

  /** See `WorkerContext.draining`. */
  get signal(): AbortSignal {
    return this.#overdue.signal
  }

  /** Returns false if events are still in flight after `limitMs`. Hand-out must be stopped. */
  async run(tasks: Iterable<Task>, limitMs: number): Promise<boolean> {
    this.#handOut.drain()
    const all = [...tasks]
    for (const { committable } of all) committable.stopWaiting()
    const busy = all.filter((task) => task.inFlight > 0)
    if (busy.length === 0) return true
    const idle = Promise.all(busy.map((task) => task.whenIdle()))
    const patienceMs = Math.min(PATIENCE_MS, limitMs / 2)
    if (await withinLimit(this.#clock, patienceMs, idle)) return true
    this.#overdue.abort()
    return await withinLimit(this.#clock, limitMs - patienceMs, idle)
  }

  /** Called when hand-out continues. */
  over(): void {
    if (this.#overdue.signal.aborted) this.#overdue = overdueController()
  }
}

/** Many listeners are allowed, because each `ask` in flight adds one. */
function overdueController(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}
