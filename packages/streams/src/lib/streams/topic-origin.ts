import { type CodecSpec, MillraceError, type RawHeaders } from '@millrace/core'
import type { CurrentEvent } from '@millrace/worker'
import { requestIn } from '../asking/requests.ts'
import type { AgentContext, FinishedAs } from '../events/agent-context.ts'
import type { StreamOrigin, InFlight, ReplyRequest } from '../events/in-flight.ts'
import { isForAnother } from '../events/replay-mark.ts'
import type { RetryState } from '../retries/retry-state.ts'
import { StampedValue } from '../topics/stamped-value.ts'
import type { AnyTopic } from '../topics/topic.ts'

/** Records of one topic, for one agent. */
export class TopicOrigin implements StreamOrigin {
  readonly context: AgentContext
  readonly valueSpec: CodecSpec
  readonly tombstones: boolean
  readonly retries: RetryState | undefined
  readonly #topic: AnyTopic

  constructor(topic: AnyTopic, context: AgentContext, retries: RetryState | undefined) {
    this.context = context
    this.retries = retries
    this.valueSpec = topic.valueSpec
    this.tombstones = topic.tombstones || context.tombstones
    this.#topic = topic
  }

  keyOf({ record: { key }, partition, offset }: InFlight): unknown {
    const topic = this.#topic
    if (key !== null) return topic.key.decode(key)
    if (!topic.keyExpected) return null
    throw new MillraceError(
      'DECODE_FAILED',
      `The record ${topic.name}/${partition} at offset ${offset} has no key, but the topic was declared with one.`,
    )
  }

  valueOf({ record }: InFlight): unknown {
    if (record instanceof StampedValue) return record.decoded()
    const { value } = record
    return value === null ? null : this.#topic.value.decode(value)
  }

  requestOf({ record }: InFlight): ReplyRequest | undefined {
    return requestIn(record.headers, this.context)
  }

  passOver({ record: { headers } }: InFlight, current: CurrentEvent | undefined): FinishedAs | undefined {
    if (headers.length > 0 && this.#isForAnother(headers)) return 'leftToOthers'
    const { retries } = this
    if (retries === undefined || current === undefined || !retries.isHeldUp(current)) return undefined
    retries.wait(current)
    return 'queued'
  }

  #isForAnother(headers: RawHeaders): boolean {
    const { agent, worker } = this.context
    return isForAnother(headers, { appId: worker.appId, agent, topic: this.#topic.name })
  }
}
