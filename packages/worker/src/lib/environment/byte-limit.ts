import type { HandOut } from './hand-out.ts'
import type { ReasonBit } from './not-now.ts'

/**
 * Bounds the bytes of something that waits, for the whole worker. While the limit is reached no event is handed out.
 */
export class ByteLimit {
  readonly maxBytes: number
  readonly #reason: ReasonBit
  readonly #handOut: Pick<HandOut, 'block' | 'unblock'> | undefined
  #bytes = 0
  #full = false

  /** `handOut`: `undefined` if no events are handed out. */
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

  /** Adds to the count; a negative number subtracts. */
  count(bytes: number): void {
    this.#bytes += bytes
    // There is room again only when a quarter is free, so that hand-out does not alternate with every few bytes.
    const full = this.#bytes > this.maxBytes * (this.#full ? 0.75 : 1)
    if (full === this.#full) return
    this.#full = full
    if (full) this.#handOut?.block(this.#reason)
    else this.#handOut?.unblock(this.#reason)
  }
}
