import type { Delivery } from '../events/delivery.ts'
import type { EventReader } from './event-reader.ts'

const END: IteratorReturnResult<undefined> = Object.freeze({ value: undefined, done: true })

/** The user's loop over a reader. */
export class StreamIterator<V> implements AsyncIterator<V, undefined> {
  readonly #reader: EventReader
  readonly #onLeave: () => void

  constructor(reader: EventReader, onLeave: () => void) {
    this.#reader = reader
    this.#onLeave = onLeave
  }

  /** Must stay a plain function: the scope of the event is entered for the caller, and `async` would keep it to itself. */
  next(): Promise<IteratorResult<V, undefined>> {
    const next = this.#reader.next()
    return next instanceof Promise ? next.then((delivery) => resultOf<V>(delivery)) : Promise.resolve(resultOf<V>(next))
  }

  /** The loop was left by `break`, `return` or an error: which one, and so what becomes of the event, shows later. */
  return(): Promise<IteratorResult<V, undefined>> {
    this.#onLeave()
    return Promise.resolve(END)
  }
}

function resultOf<V>(delivery: Delivery | undefined): IteratorResult<V, undefined> {
  return delivery === undefined ? END : { value: delivery.value as V, done: false }
}
