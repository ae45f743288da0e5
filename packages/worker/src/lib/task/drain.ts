import { setMaxListeners } from 'node:events'
import { type Clock, withinLimit } from '@millrace/core'
import type { HandOut } from '../environment/hand-out.ts'
import type { Task } from './task.ts'

/** Time for what is on its way already, perhaps a reply: the work of an event that is given up has to be done again. */
const PATIENCE_MS = 500

/**
 * Waits for events in flight while nothing is handed out. Some may wait for something that is itself to be
 * handed out, here or on another worker that waits for this one. They would wait for ever: after a while `signal` aborts.
 */
export class Drain {
  readonly #clock: Clock
  readonly #handOut: HandOut
  #overdue = overdueController()

  constructor(clock: Clock, handOut: HandOut) {
    this.#clock = clock
    this.#handOut = handOut
  }

  /** As `WorkerContext.draining`. */
  get signal(): AbortSignal {
    return this.#overdue.signal
  }

  /** False when events were still in flight after `limitMs`. Hand-out must be stopped. */
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

  /** Hand-out goes on. */
  over(): void {
    if (this.#overdue.signal.aborted) this.#overdue = overdueController()
  }
}

/** Each `ask` in flight listens to it. */
function overdueController(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}
