import { deferred, type CodecSpec, type Deferred } from '@millrace/core'
import type { StreamEvent } from './stream-event.ts'

/** Where the events of one instance come from. It outlives the runs of the handler. */
export interface EventSource {
  /** For messages: `topic "orders"`. */
  readonly where: string
  /** The one spec of its values' bytes; `undefined` when there is none, or more than one. */
  readonly valueSpec: CodecSpec | undefined
  /** How its events are keyed; `undefined` where they do not all come from topics with keys of one kind. */
  readonly keys: SourceKeys | undefined
  /** Ids of the worker's subscriptions that its events come from; none for a channel. */
  readonly subscriptions: readonly string[]
  /** Of a branch, whose events come decoded: `undefined` for topics and channels. */
  readonly branch: BranchOrigin | undefined
  take(): StreamEvent | undefined
  /** Nothing more will come. */
  readonly closed: boolean
  /** Called when events that only wait for their batch to fill must be put back. One reader at a time. */
  onDrain: () => void
  /** Called when events that only wait for their batch to fill may be holding up others. */
  onWanted: () => void
  /** Of a branch: its reader takes nothing more, and the others need not wait for it. */
  end?(): void
  /** Wakes once when `take` may give an event, or when the source is closed. */
  watch(wakeup: Wakeup): void
}

/** How the events of a source are keyed. */
export interface SourceKeys {
  readonly spec: CodecSpec
  /** Names of the topics that they come from. */
  readonly topics: readonly string[]
  /** The partition count of these topics, if it was declared, and is the same for all. */
  readonly partitions: number | undefined
}

/** What all branches of one `branch()` have in common. */
export interface BranchOrigin {
  /** The values are events. */
  readonly givesEvents: boolean
  /** `flatMap` has made several values of an event, and they may be in several branches. */
  readonly spreads: boolean
  readonly valueSpec: CodecSpec | undefined
  /** What the events come from. */
  readonly sources: readonly EventSource[]
}

/** Wakes one waiter; a call that comes before the wait is not lost. */
export class Wakeup {
  #waiter: Deferred<void> | undefined
  #pending = false

  wake(): void {
    const waiter = this.#waiter
    if (waiter === undefined) this.#pending = true
    else {
      this.#waiter = undefined
      waiter.resolve()
    }
  }

  wait(): Promise<void> {
    if (this.#pending) {
      this.#pending = false
      return Promise.resolve()
    }
    this.#waiter ??= deferred<void>()
    return this.#waiter.promise
  }
}

/** Wake-ups of readers that wait for one source. */
export class Watchers {
  readonly #waiting = new Set<Wakeup>()

  add(wakeup: Wakeup): void {
    this.#waiting.add(wakeup)
  }

  /** Wakes all of them, once. */
  wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wakeup of waiting) wakeup.wake()
  }
}
