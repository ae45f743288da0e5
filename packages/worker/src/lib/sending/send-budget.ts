/** How many bytes of sends may be on their way at once, for the whole worker. */
export class SendBudget {
  readonly #maxBytes: number
  readonly #onChange: (full: boolean) => void
  readonly #waiting: (() => void)[] = []
  #bytes = 0
  #full = false

  /** `onChange` is told when it becomes full, and when there is room again. */
  constructor(maxBytes: number, onChange: (full: boolean) => void) {
    this.#maxBytes = maxBytes
    this.#onChange = onChange
  }

  /** Of all sends on their way. */
  get maxBytes(): number {
    return this.#maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get full(): boolean {
    return this.#full
  }

  take(bytes: number): void {
    this.#bytes += bytes
    if (this.#full || this.#bytes < this.#maxBytes) return
    this.#full = true
    this.#onChange(true)
  }

  /** Room again only when a quarter is free, so that hand-out does not stop and go with each request. */
  give(bytes: number): void {
    this.#bytes -= bytes
    if (!this.#full || this.#bytes > this.#maxBytes * 0.75) return
    this.#full = false
    this.#onChange(false)
    for (const go of this.#waiting.splice(0)) go()
  }

  /** For sends outside events, which nothing else holds back. */
  async room(): Promise<void> {
    while (this.#full) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}
