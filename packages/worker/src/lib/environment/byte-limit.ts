import type { HandOut } from './hand-out.ts'
import type { ReasonBit } from './not-now.ts'

/** How many bytes of something may be waiting at once, for the whole worker. While it is full no event is handed out. */
export class ByteLimit {
  readonly maxBytes: number
  readonly #reason: ReasonBit
  readonly #handOut: Pick<HandOut, 'block' | 'unblock'> | undefined
  #bytes = 0
  #full = false

  /** `handOut`: `undefined` where no events are handed out. */
  constructor(maxBytes: number, reason: ReasonBit, handOut: Pick<HandOut, 'block' | 'unblock'> | undefined) {
    this.maxBytes = maxBytes
    this.#reason = reason
    this.#handOut = handOut
  }

  get bytes(): number {
    return this.#bytes
  }

  get full(): boolean {
    return this.#full
  }

  /** There are this many bytes more, or fewer. */
  count(bytes: number): void {
    this.#bytes += bytes
    // Room again only when a quarter is free, so that hand-out does not stop and go with each of them.
    const full = this.#bytes > this.maxBytes * (this.#full ? 0.75 : 1)
    if (full === this.#full) return
    this.#full = full
    if (full) this.#handOut?.block(this.#reason)
    else this.#handOut?.unblock(this.#reason)
  }
}
