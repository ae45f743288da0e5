import type { Clock, SubscriptionSpec } from '@millrace/core'
import { DirectSupply } from './direct-supply.ts'
import { Feed } from './feed.ts'
import type { HandOutGate } from './hand-out-gate.ts'
import type { HoldScope } from './held-events.ts'
import { KeyedSupply } from './keyed-supply.ts'
import type { PartitionCursor } from './partition-cursor.ts'
import { SubscriptionCounters } from './subscription-counters.ts'

export interface SubscriptionDeps {
  readonly clock: Clock
  readonly gate: HandOutGate
  readonly maxBufferedEvents: number
}

/** What an agent, or a step of one, reads: its feeds, and the partitions here that fill them. */
export class Subscription {
  readonly spec: SubscriptionSpec
  readonly counters: SubscriptionCounters = new SubscriptionCounters()
  readonly feeds: readonly Feed[]
  readonly #supply: DirectSupply | KeyedSupply
  #cursors: readonly PartitionCursor[] = []

  constructor(spec: SubscriptionSpec, { clock, gate, maxBufferedEvents }: SubscriptionDeps) {
    this.spec = spec
    const keyed = spec.instances > 1 && spec.ordering === 'key'
    const scope: HoldScope = keyed ? 'key' : spec.instances > 1 ? 'event' : 'feed'
    const supply = keyed ? new KeyedSupply(gate, Math.max(maxBufferedEvents, spec.instances)) : new DirectSupply(gate)
    this.feeds = Array.from({ length: spec.instances }, (_, index) => new Feed({ index, clock, gate, supply, scope }))
    if (supply instanceof KeyedSupply) supply.setFeeds(this.feeds)
    this.#supply = supply
  }

  get cursors(): readonly PartitionCursor[] {
    return this.#cursors
  }

  add(cursors: readonly PartitionCursor[]): void {
    if (cursors.length === 0) return
    this.#cursors = [...this.#cursors, ...cursors]
    this.#supply.setCursors(this.#cursors)
    this.wake()
  }

  /** Lets go of the cursors of lost tasks. */
  purge(): void {
    this.#cursors = this.#cursors.filter((cursor) => !cursor.task.closed)
    this.#supply.setCursors(this.#cursors)
    for (const feed of this.feeds) feed.purge()
  }

  /** Records have come, or hand-out goes on. */
  wake(): void {
    if (this.#supply instanceof KeyedSupply) this.#supply.arrived()
    for (const feed of this.feeds) if (feed.isWaiting) feed.wake()
  }

  /** Events in hand are waited for. */
  drain(): void {
    for (const feed of this.feeds) feed.onDrain()
  }

  /** Nothing more of a task is handed out until what is in hand has finished. */
  wanted(): void {
    for (const feed of this.feeds) feed.wanted()
  }

  close(): void {
    for (const feed of this.feeds) feed.close()
  }
}
