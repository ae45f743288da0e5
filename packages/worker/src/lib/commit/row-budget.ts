export interface RowBudgetListener {
  /** More than half of it is used, and cuts should give some back. Told again each time that some came back and it still is. */
  onHalf(): void
  /** It became full, or there is room again. */
  onFull(full: boolean): void
}

/**
 * How many bytes of changed rows may wait for their commit at once, for the whole worker: from the moment an event that
 * wrote them is finished until the store has them. One event may exceed it by what it writes.
 */
export class RowBudget {
  readonly #maxBytes: number
  readonly #listener: RowBudgetListener
  #bytes = 0
  #overHalf = false
  #full = false

  constructor(maxBytes: number, listener: RowBudgetListener) {
    this.#maxBytes = maxBytes
    this.#listener = listener
  }

  get bytes(): number {
    return this.#bytes
  }

  get full(): boolean {
    return this.#full
  }

  /** So many bytes more of changed rows, or fewer. */
  count(bytes: number): void {
    this.#bytes += bytes
    const overHalf = this.#bytes > this.#maxBytes / 2
    const tell = overHalf && (bytes < 0 || !this.#overHalf)
    this.#overHalf = overHalf
    // Room again only when a quarter is free, so that hand-out does not stop and go with each row.
    const full = this.#bytes > this.#maxBytes * (this.#full ? 0.75 : 1)
    if (full !== this.#full) {
      this.#full = full
      this.#listener.onFull(full)
    }
    if (tell) this.#listener.onHalf()
  }
}
