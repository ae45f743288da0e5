import { type CodecSpec, toError } from '@millrace/core'
import type { SubscriptionQueue } from '@millrace/worker'
import type { StreamOrigin } from '../events/in-flight.ts'
import type { AgentContext } from '../events/agent-context.ts'
import { type EventSource, type SourceKeys, type Wakeup, Watchers } from '../events/source.ts'
import { StreamEvent } from '../events/stream-event.ts'
import type { RetryState } from '../retries/retry-state.ts'
import type { AnyTopic } from '../topics/topic.ts'
import { ReturnedEvents } from './returned-events.ts'
import { TopicOrigin } from './topic-origin.ts'

/** What a queue of the worker gives. */
export interface QueuedEvents {
  /** For messages. */
  readonly where: string
  /** Its id. */
  readonly subscription: string
  /** As of `EventSource`. */
  readonly valueSpec: CodecSpec | undefined
  /** As of `EventSource`. */
  readonly keys: SourceKeys | undefined
  /** By the topic of the event. */
  readonly origins: ReadonlyMap<string, StreamOrigin>
  /** Events that have waited and come back. */
  readonly returned?: ReturnedEvents | undefined
}

export interface TopicSourceOptions {
  readonly subscription: string
  readonly topics: readonly AnyTopic[]
  /** Where its events wait between attempts. */
  readonly retries: RetryState | undefined
}

/** The topics of one subscription, for one instance. */
export function topicSource(
  queue: SubscriptionQueue,
  { subscription, topics, retries }: TopicSourceOptions,
  context: AgentContext,
): QueueSource {
  const specs = new Set(topics.map((topic) => topic.valueSpec))
  return new QueueSource(
    queue,
    {
      where: topics.map(({ name }) => `topic "${name}"`).join(', '),
      subscription,
      valueSpec: specs.size === 1 ? topics[0]?.valueSpec : undefined,
      keys: keysOf(topics),
      origins: new Map(topics.map((topic) => [topic.name, new TopicOrigin(topic, context, retries)])),
      returned: retries === undefined ? undefined : new ReturnedEvents(topics, context, retries),
    },
    context,
  )
}

function keysOf(topics: readonly AnyTopic[]): SourceKeys | undefined {
  const specs = new Set(topics.map(({ keySpec }) => keySpec))
  const [spec] = specs
  if (spec === undefined || specs.size > 1) return undefined
  const counts = new Set(topics.map(({ declaration }) => declaration.partitions))
  const [partitions] = counts
  return { spec, topics: topics.map(({ name }) => name), partitions: counts.size === 1 ? partitions : undefined }
}

/** A queue of the worker, for one instance. Several readers may wait for it, while the worker knows one at a time. */
export class QueueSource implements EventSource {
  readonly where: string
  readonly valueSpec: CodecSpec | undefined
  readonly keys: SourceKeys | undefined
  readonly subscriptions: readonly string[]
  readonly branch: undefined = undefined
  onDrain: () => void = () => {}
  onWanted: () => void = () => {}
  readonly #queue: SubscriptionQueue
  readonly #only: StreamOrigin | undefined
  readonly #origins: ReadonlyMap<string, StreamOrigin>
  readonly #returned: ReturnedEvents | undefined
  readonly #context: AgentContext
  readonly #watchers = new Watchers()
  #isWaiting = false

  constructor(queue: SubscriptionQueue, events: QueuedEvents, context: AgentContext) {
    const { where, subscription, valueSpec, keys, origins, returned } = events
    this.where = where
    this.valueSpec = valueSpec
    this.keys = keys
    this.subscriptions = [subscription]
    this.#queue = queue
    queue.onDrain = () => this.onDrain()
    queue.onWanted = () => this.onWanted()
    this.#context = context
    this.#origins = origins
    this.#returned = returned
    const [first] = origins.values()
    this.#only = origins.size === 1 ? first : undefined
  }

  get closed(): boolean {
    return this.#queue.closed
  }

  take(): StreamEvent | undefined {
    const event = this.#queue.take()
    if (event === undefined) return undefined
    if (this.#returned !== undefined) {
      const returned = this.#returned.eventOf(event)
      if (returned !== undefined) return returned
    }
    const origin = this.#only ?? this.#origins.get(event.topic)
    if (origin === undefined) throw new Error(`An event of topic "${event.topic}" came from ${this.where}.`)
    return StreamEvent.of(event, origin, event)
  }

  watch(wakeup: Wakeup): void {
    this.#watchers.add(wakeup)
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#queue.ready().then(
      () => {
        this.#isWaiting = false
        this.#watchers.wake()
      },
      (thrown: unknown) => this.#context.worker.fail(toError(thrown)),
    )
  }
}
