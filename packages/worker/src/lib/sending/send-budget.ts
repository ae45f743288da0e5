import type { Clock, Sensor } from '@millrace/core'
import { ByteLimit } from '../environment/byte-limit.ts'
import type { HandOut } from '../environment/hand-out.ts'
import type { Lease } from '../environment/lease.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import type { Delays } from './delays.ts'

/**
 * The share of the budget that may wait outside it: for one partition, records of senders outside of tasks; under
 * exactly once, also for the commit of one task.
 */
export const WAITING_SHARE = 0.25

/** Bounds the bytes of sends that are under way. */
export class SendBudget extends ByteLimit {
  readonly #waiting: (() => void)[] = []

  constructor(maxBytes: number, handOut: Pick<HandOut, 'block' | 'unblock'> | undefined) {
    super(maxBytes, NOT_NOW.collector, handOut)
  }

  override count(bytes: number): void {
    super.count(bytes)
    if (this.full || this.#waiting.length === 0) return
    for (const go of this.#waiting.splice(0)) go()
  }

  /** Waits for room. Sends outside of events need this, because nothing else holds them back. */
  async room(): Promise<void> {
    while (this.full) await new Promise<void>((resolve) => this.#waiting.push(resolve))
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
  /** Counts aborted transactions, for statistics. */
  readonly transactions: { aborted: number }
}
