import { MillraceError } from '@millrace/core'
import type { CurrentEvent, HandedOutEvent } from '@millrace/worker'
import type { AgentContext, FinishedAs } from '../events/agent-context.ts'
import type { InFlight } from '../events/in-flight.ts'
import { StreamEvent } from '../events/stream-event.ts'
import { ReturnedEvent } from '../retries/returned-event.ts'
import type { RetryState } from '../retries/retry-state.ts'
import { waitingIn } from '../retries/waiting-event.ts'
import type { AnyTopic } from '../topics/topic.ts'
import { TopicOrigin } from './topic-origin.ts'

/** Events of a subscription that have waited and are due, as events of their topics again. */
export class ReturnedEvents {
  readonly #topics: ReadonlyMap<string, AnyTopic>
  readonly #origins: ReadonlyMap<string, ReturnedOrigin>
  /** For events of topics that the agent no longer reads: any topic will do, because they cannot be decoded. */
  readonly #gone: ReturnedOrigin | undefined

  constructor(topics: readonly AnyTopic[], context: AgentContext, retries: RetryState) {
    this.#topics = new Map(topics.map((topic) => [topic.name, topic]))
    this.#origins = new Map(topics.map((topic) => [topic.name, new ReturnedOrigin(topic, context, retries)]))
    const [first] = topics
    this.#gone = first === undefined ? undefined : new GoneOrigin(first, context, retries)
  }

  /** `undefined` for an event of a partition. */
  eventOf(event: HandedOutEvent): StreamEvent | undefined {
    const record = waitingIn(event.record)
    if (record === undefined) return undefined
    const { topic } = record.waiting
    const origin = this.#origins.get(topic) ?? this.#gone
    if (origin === undefined) return undefined
    // Its time is read from the value again, so that the attempt fails if that cannot be done.
    const stamp = this.#topics.get(topic)?.declaration.stamp
    return StreamEvent.of(new ReturnedEvent(event, record, stamp?.(record) ?? record), origin, event)
  }
}

/** Events of one topic that have waited. */
class ReturnedOrigin extends TopicOrigin {
  readonly #retries: RetryState

  constructor(topic: AnyTopic, context: AgentContext, retries: RetryState) {
    super(topic, context, retries)
    this.#retries = retries
  }

  override passOver(_event: InFlight, current: CurrentEvent | undefined): FinishedAs | undefined {
    return current === undefined || this.#retries.claim(current) ? undefined : 'leftToOthers'
  }
}

/** Events of topics that the agent no longer reads. */
class GoneOrigin extends ReturnedOrigin {
  override keyOf(event: InFlight): unknown {
    throw this.#gone(event)
  }

  override valueOf(event: InFlight): unknown {
    throw this.#gone(event)
  }

  #gone({ topic, partition, offset }: InFlight): MillraceError {
    const { agent } = this.context
    return new MillraceError(
      'DECODE_FAILED',
      `The event ${topic}/${partition} at offset ${offset} has waited for agent "${agent}", which no longer reads topic "${topic}".`,
    )
  }
}
