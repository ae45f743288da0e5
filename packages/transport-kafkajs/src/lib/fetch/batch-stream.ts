import { deferred, type Deferred, type RecordBatch } from '@millrace/core'

export interface BatchSource {
  /** The next batch that is there. */
  take(): RecordBatch | undefined
  /** Somebody waits for a batch, or has taken one: it is time to fetch more. */
  wanted(): void
}

/** Batches as an async iterable, to be iterated once. Nothing is fetched before somebody asks. */
export class BatchStream implements AsyncIterable<RecordBatch>, AsyncIterator<RecordBatch, undefined> {
  readonly #source: BatchSource
  #waiting: Deferred<IteratorResult<RecordBatch, undefined>> | undefined
  #failure: Error | undefined
  #ended = false

  constructor(source: BatchSource) {
    this.#source = source
  }

  /** Whether there will be further batches. */
  get open(): boolean {
    return !this.#ended && this.#failure === undefined
  }

  [Symbol.asyncIterator](): AsyncIterator<RecordBatch, undefined> {
    return this
  }

  next(): Promise<IteratorResult<RecordBatch, undefined>> {
    if (this.#ended) return Promise.resolve({ value: undefined, done: true })
    const batch = this.#failure === undefined ? this.#source.take() : undefined
    if (batch !== undefined) {
      this.#source.wanted()
      return Promise.resolve({ value: batch, done: false })
    }
    // Also one that looking for a batch has brought.
    if (this.#failure !== undefined) {
      this.#ended = true
      return Promise.reject(this.#failure)
    }
    const waiting = (this.#waiting ??= deferred())
    this.#source.wanted()
    return waiting.promise
  }

  return(): Promise<IteratorResult<RecordBatch, undefined>> {
    this.end()
    return Promise.resolve({ value: undefined, done: true })
  }

  /** Something has come, or may be fetched now: hands a batch to whoever waits. */
  wake(): void {
    if (this.#waiting === undefined) return
    const batch = this.#source.take()
    if (batch !== undefined) {
      this.#waiting.resolve({ value: batch, done: false })
      this.#waiting = undefined
    }
    this.#source.wanted()
  }

  /** Makes the iteration throw. The first failure counts. */
  fail(error: Error): void {
    if (!this.open) return
    this.#failure = error
    if (this.#waiting === undefined) return
    this.#ended = true
    this.#waiting.reject(error)
    this.#waiting = undefined
  }

  end(): void {
    this.#ended = true
    this.#waiting?.resolve({ value: undefined, done: true })
    this.#waiting = undefined
  }
}
