import type { Clock, Sensor } from '@millrace/core'
import type { HandOut } from '../environment/hand-out.ts'
import type { Lease } from '../environment/lease.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import type { Delays } from './delays.ts'

/** How many bytes of sends may be on their way at once, for the whole worker. While it is full no event is handed out. */
export class SendBudget {
  readonly #maxBytes: number
  readonly #handOut: Pick<HandOut, 'block' | 'unblock'> | undefined
  readonly #waiting: (() => void)[] = []
  #bytes = 0
  #full = false

  /** `handOut`: `undefined` where no events are handed out. */
  constructor(maxBytes: number, handOut: Pick<HandOut, 'block' | 'unblock'> | undefined) {
    this.#maxBytes = maxBytes
    this.#handOut = handOut
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
    this.#handOut?.block(NOT_NOW.collector)
  }

  /** Room again only when a quarter is free, so that hand-out does not stop and go with each request. */
  give(bytes: number): void {
    this.#bytes -= bytes
    if (!this.#full || this.#bytes > this.#maxBytes * 0.75) return
    this.#full = false
    this.#handOut?.unblock(NOT_NOW.collector)
    for (const go of this.#waiting.splice(0)) go()
  }

  /** For sends outside events, which nothing else holds back. */
  async room(): Promise<void> {
    while (this.#full) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

/** What all record collectors of a worker share. */
export interface Sending {
  readonly clock: Clock
  readonly sensor: Pick<Sensor, 'sendCompleted'>
  /** Checked before each request; without it nothing goes out. */
  readonly lease: Pick<Lease, 'check' | 'whenBack'>
  readonly budget: SendBudget
  readonly delays: Delays
  /** Transactions that came to nothing, for statistics. */
  readonly transactions: { aborted: number }
}
