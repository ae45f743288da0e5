import { toError } from '@millrace/core'
import type { ErrorHandling } from '../errors/error-handling.ts'
import { BetweenEvents } from '../events/between-events.ts'
import { StreamReader } from './stream-reader.ts'
import type { Branch } from './stream-step.ts'

/** The steps of an instance that end in a topic or in windows (`groupBy`, `through`, `emit`): events go through them whatever becomes of the handler's runs. */
export class StepsToTopics {
  readonly #errors: ErrorHandling
  readonly #readers = new Map<string, StreamReader>()
  readonly #reading: Promise<void>[] = []

  constructor(errors: ErrorHandling) {
    this.#errors = errors
  }

  /** Begins to take events or, if an earlier run has begun, continues with the steps of this one. */
  run(id: string, branches: readonly Branch[]): void {
    const running = this.#readers.get(id)
    if (running !== undefined) return running.replace(branches)
    const errors = this.#errors
    const reader = new StreamReader({ errors, branches, run: undefined, isLoop: false })
    this.#readers.set(id, reader)
    const reading = errors.context.storage.run(new BetweenEvents(errors.context), async () => {
      // Its last step drops every event, so `next` resolves only at the end.
      await reader.next()
    })
    this.#reading.push(reading.catch((thrown: unknown) => errors.stop(toError(thrown))))
  }

  /** Makes readers notice that the worker stops. */
  wake(): void {
    for (const reader of this.#readers.values()) reader.wakeup.wake()
  }

  /** Resolves when all steps have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#reading)
  }
}
