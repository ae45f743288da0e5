import { Epoch } from './epoch.ts'
import type { Outbox } from './outbox.ts'
import type { Outgoing } from './outgoing.ts'
import type { TaskOutput } from './task-output.ts'

/** At least once: records go out through the worker's one outbox as soon as their event is finished. */
export class SharedOutput implements TaskOutput {
  readonly taskId: string
  delays = 0
  readonly #outbox: Outbox
  #epoch = new Epoch(undefined, this)
  /** Of the last cut, which may still wait for it. */
  #sealed: Epoch | undefined = undefined

  constructor(taskId: string, outbox: Outbox) {
    this.taskId = taskId
    this.#outbox = outbox
  }

  get pending(): number {
    return this.#epoch.pending + (this.#sealed?.pending ?? 0)
  }

  add(record: Outgoing): void {
    record.epoch = this.#epoch
    this.#epoch.added()
    this.#outbox.add(record)
  }

  seal(): Promise<void> {
    this.#sealed = this.#epoch
    this.#epoch = new Epoch(this.#sealed, this)
    return this.#sealed.seal()
  }

  abandon(error: Error): void {
    this.#sealed?.abandon(error)
    this.#epoch.abandon(error)
  }
}
