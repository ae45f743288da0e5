import type { Clock } from '@millrace/core'

/** How many tasks are being opened, and since when there were some. */
export class OpeningTasks {
  readonly #clock: Clock
  #count = 0
  #sinceMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get count(): number {
    return this.#count
  }

  /** In milliseconds; 0 if no task is being opened. */
  get forMs(): number {
    return this.#count === 0 ? 0 : this.#clock.monotonic() - this.#sinceMs
  }

  begin(tasks: number): void {
    if (this.#count === 0) this.#sinceMs = this.#clock.monotonic()
    this.#count += tasks
  }

  end(tasks: number): void {
    this.#count -= tasks
  }
}
