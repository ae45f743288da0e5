import {
  type CodecSpec,
  type Effect,
  type EventInHand,
  MillraceError,
  type RawHeaders,
  type SendRequest,
} from '@millrace/core'
import type { AgentCounters } from '../agents/agent-counters.ts'
import { type ReplySender, requestIn } from '../asking/topic-request.ts'
import { isForAnother, withoutReplayMark } from '../dead-letters/replay-mark.ts'
import type { AnyTopic } from '../topics/topic.ts'
import { Delivery } from './delivery.ts'

/** What the deliveries of one agent share. */
export interface DeliveryHost extends ReplySender {
  readonly counters: AgentCounters
  /** The agent takes records without a value from every topic. */
  readonly tombstones: boolean
}

/** A record of a topic. */
export class TopicDelivery extends Delivery {
  override readonly event: EventInHand
  readonly #source: AnyTopic
  readonly #host: DeliveryHost

  constructor(event: EventInHand, source: AnyTopic, host: DeliveryHost) {
    super(host.counters, event.attempts === 0)
    this.event = event
    this.#source = source
    this.#host = host
  }

  override get topic(): string {
    return this.event.topic
  }

  override get partition(): number {
    return this.event.partition
  }

  override get offset(): number {
    return this.event.offset
  }

  override get timestamp(): number {
    return this.event.timestamp
  }

  override get rawKey(): Buffer | null {
    return this.event.record.key
  }

  override get rawValue(): Buffer | null {
    return this.event.record.value
  }

  override get rawHeaders(): RawHeaders {
    return withoutReplayMark(this.event.record.headers)
  }

  override get signal(): AbortSignal {
    return this.event.signal
  }

  override get attempts(): number {
    return this.event.attempts
  }

  override get refused(): Error | undefined {
    return this.event.refused
  }

  override get isSetAside(): boolean {
    return this.event.isSetAside
  }

  override describeReads(): readonly string[] {
    return this.event.describeReads()
  }

  override handBackIfOutdated(): boolean {
    return this.event.handBackIfOutdated()
  }

  override get isWanted(): boolean {
    return this.event.isWanted
  }

  override get isForAnother(): boolean {
    const { headers } = this.event.record
    if (headers.length === 0) return false
    const { agent, worker } = this.#host
    return isForAnother(headers, { appId: worker.appId, agent, topic: this.topic })
  }

  override get batchGroup(): object {
    return this.event.task
  }

  override get open(): boolean {
    return !this.over && this.event.open
  }

  override get valueSpec(): CodecSpec {
    return this.#source.valueSpec
  }

  override key(): unknown {
    const key = this.event.record.key
    if (key === null && !this.#source.keyExpected) return null
    try {
      if (key !== null) return this.#source.key.decode(key)
      throw new MillraceError(
        'DECODE_FAILED',
        `The record ${this.topic}/${this.partition} at offset ${this.offset} has no key, but the topic was declared with one.`,
      )
    } catch (error) {
      this.undecodable = error
      throw error
    }
  }

  override decode(): boolean {
    const { value, headers } = this.event.record
    if (headers.length > 0) this.request = requestIn(headers, this.#host)
    try {
      this.value = this.cameAs = value === null ? null : this.#source.value.decode(value)
    } catch (error) {
      this.undecodable = error
      throw error
    }
    return value !== null || this.#source.tombstones || this.#host.tombstones
  }

  override original(): Buffer | null {
    return this.event.record.value
  }

  override send(request: SendRequest): void {
    this.event.send(request)
  }

  override hold(effect: Effect): void {
    this.event.hold(effect)
  }

  protected override end(): boolean {
    return this.event.finish()
  }

  protected override undo(error: Error): void {
    this.event.rollback(error)
  }

  protected override again(delayMs: number): void {
    this.event.retry(delayMs)
  }

  protected override giveBack(): void {
    this.event.putBack()
  }

  protected override unite(other: Delivery): void {
    if (other instanceof TopicDelivery) this.event.join(other.event)
  }
}
