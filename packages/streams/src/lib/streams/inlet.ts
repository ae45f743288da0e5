import type { CodecSpec, EventFeed, WorkerContext } from '@millrace/core'
import { toError } from '@millrace/core'
import type { Delivery } from '../events/delivery.ts'
import { type DeliveryHost, TopicDelivery } from '../events/topic-delivery.ts'
import type { AnyTopic } from '../topics/topic.ts'
import type { Wakeup } from './wakeup.ts'

/** Where the events of one instance come from. It outlives the runs of the handler. */
export interface Inlet {
  /** For messages: `topic "orders"`. */
  readonly where: string
  /** The one spec of its values' bytes; `undefined` when there is none, or more than one. */
  readonly valueSpec: CodecSpec | undefined
  /** Of a branch, whose events come decoded: `undefined` for topics and channels. */
  readonly branch: BranchOrigin | undefined
  take(): Delivery | undefined
  /** Nothing more will come. */
  readonly closed: boolean
  /** Called when events that only wait for more of them must be put back. One reader at a time. */
  onDrain: () => void
  /** Called when somebody may wait for events that only wait for more of them. */
  onWanted: () => void
  /** Of a branch: its reader takes nothing more, and the others need not wait for it. */
  end?(): void
  /** Wakes once when `take` may give an event, or when the inlet is closed. */
  watch(wakeup: Wakeup): void
}

/** What is the same for all branches of one `branch()`. */
export interface BranchOrigin {
  /** The values are events. */
  readonly givesEvents: boolean
  /** `flatMap` has made several values of an event, and they may be in several branches. */
  readonly spreads: boolean
  readonly valueSpec: CodecSpec | undefined
  /** What the events come from. */
  readonly sources: readonly Inlet[]
}

export interface TopicInletOptions {
  readonly where: string
  readonly feed: EventFeed
  readonly topics: readonly AnyTopic[]
  readonly host: DeliveryHost
}

/** A feed of the worker. Several readers may wait for it, while the feed knows one at a time. */
export class TopicInlet implements Inlet {
  readonly where: string
  readonly valueSpec: CodecSpec | undefined
  readonly branch: undefined = undefined
  onDrain: () => void = () => {}
  onWanted: () => void = () => {}
  readonly #feed: EventFeed
  readonly #only: AnyTopic | undefined
  readonly #topics: ReadonlyMap<string, AnyTopic>
  readonly #host: DeliveryHost
  readonly #watchers = new Set<Wakeup>()
  #armed = false

  constructor({ where, feed, topics, host }: TopicInletOptions) {
    this.where = where
    this.#feed = feed
    feed.onDrain = () => this.onDrain()
    feed.onWanted = () => this.onWanted()
    this.#host = host
    this.#topics = new Map(topics.map((topic) => [topic.name, topic]))
    this.#only = this.#topics.size === 1 ? topics[0] : undefined
    const specs = new Set(topics.map((topic) => topic.valueSpec))
    this.valueSpec = specs.size === 1 ? topics[0]?.valueSpec : undefined
  }

  get closed(): boolean {
    return this.#feed.closed
  }

  take(): Delivery | undefined {
    const event = this.#feed.take()
    if (event === undefined) return undefined
    const topic = this.#only ?? this.#topics.get(event.topic)
    if (topic === undefined) throw new Error(`The feed of ${this.where} gave an event of topic "${event.topic}".`)
    return new TopicDelivery(event, topic, this.#host)
  }

  watch(wakeup: Wakeup): void {
    this.#watchers.add(wakeup)
    if (this.#armed) return
    this.#armed = true
    this.#feed.ready().then(
      () => this.#fire(),
      (thrown: unknown) => failWorker(this.#host.worker, thrown),
    )
  }

  #fire(): void {
    this.#armed = false
    const watchers = [...this.#watchers]
    this.#watchers.clear()
    for (const wakeup of watchers) wakeup.wake()
  }
}

function failWorker(worker: WorkerContext, thrown: unknown): void {
  worker.fail(toError(thrown))
}
