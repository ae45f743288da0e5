import { deferred, type CodecSpec, type Deferred } from '@millrace/core'
import type { StreamEvent } from './stream-event.ts'

/** The source of the events of one instance. It outlives the runs of the handler. */
export interface EventSource {
  /** For messages: `topic "orders"`. */
  readonly where: string
  /** The spec of its values' bytes; `undefined` if there is none, or more than one. */
  readonly valueSpec: CodecSpec | undefined
  /** The keys of its events; `undefined` if they do not all come from topics with keys of one kind. */
  readonly keys: SourceKeys | undefined
  /** Ids of the worker's subscriptions from which its events come; none for a channel. */
  readonly subscriptions: readonly string[]
  /** Set for a branch, whose events arrive decoded; `undefined` for topics and channels. */
  readonly branch: BranchOrigin | undefined
  take(): StreamEvent | undefined
  /** True if no more events come. */
  readonly closed: boolean
  /** Called when events that only wait for their batch to fill must be put back. One reader at a time. */
  onDrain: () => void
  /** Called when events that only wait for their batch to fill may be delaying others. */
  onWanted: () => void
  /** For a branch: its reader takes no more, and the other branches need not wait for it. */
  end?(): void
  /** Wakes once when `take` may return an event, or when the source is closed. */
  watch(wakeup: Wakeup): void
}

/** The keys of the events of a source. */
export interface SourceKeys {
  readonly spec: CodecSpec
  /** Names of their topics. */
  readonly topics: readonly string[]
  /** The partition count of these topics, if it was declared, and is the same for all. */
  readonly partitions: number | undefined
}

/** What all branches of one `branch()` share. */
export interface BranchOrigin {
  /** Whether the values are events. */
  readonly givesEvents: boolean
  /** Whether `flatMap` has made several values of an event, which may be in several branches. */
  readonly spreads: boolean
  readonly valueSpec: CodecSpec | undefined
  /** The sources of the events. */
  readonly sources: readonly EventSource[]
}

/** Wakes one waiter; a call before the wait is not lost. */
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
