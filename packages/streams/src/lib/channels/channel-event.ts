import { jsonCodec, type RawHeaders } from '@millrace/core'
import type { Effect, SendReceipt, SendRequest } from '@millrace/worker'
import type { StreamOrigin, InFlight, ReplyRequest } from '../events/in-flight.ts'
import type { AgentContext } from '../events/agent-context.ts'
import { acknowledged } from '../topics/send-here.ts'

/** The content of a channel: values without encoding. */
export interface ChannelMessage {
  readonly key: string | null
  readonly value: unknown
  readonly headers: RawHeaders
  readonly timestamp: number
  readonly request: ReplyRequest | undefined
}

/** A message being processed by one agent. */
export interface QueuedMessage {
  readonly message: ChannelMessage
  /** Counted from 0 for each instance. */
  readonly offset: number
  readonly attempts: number
}

/** The queue that a message in flight came from. */
export interface MessageQueue {
  readonly name: string
  /** Position of the instance, as the partition of its events. */
  readonly index: number
  readonly context: AgentContext
  /** Marks a message as finished. */
  drop(): void
  /** Puts a message back in front of all others. */
  takeBack(queued: QueuedMessage, delayMs: number): void
}

/**
 * A message in flight from a channel, the counterpart of the engine's event for a record. It has no task: its sends
 * are acknowledged at once, and a failure does not undo them.
 */
export class ChannelEvent implements InFlight, StreamOrigin {
  readonly valueSpec: undefined = undefined
  readonly tombstones: boolean = true
  readonly refused: undefined = undefined
  readonly isDeferred: boolean = false
  readonly isWanted: boolean = false
  readonly task: MessageQueue
  #open = true
  readonly #queued: QueuedMessage
  /** Other messages of its batch. */
  readonly #joined: ChannelEvent[] = []

  constructor(queued: QueuedMessage, queue: MessageQueue) {
    this.#queued = queued
    this.task = queue
  }

  get context(): AgentContext {
    return this.task.context
  }

  get topic(): string {
    return this.task.name
  }

  get partition(): number {
    return this.task.index
  }

  get offset(): number {
    return this.#queued.offset
  }

  get timestamp(): number {
    return this.#queued.message.timestamp
  }

  get attempts(): number {
    return this.#queued.attempts
  }

  get open(): boolean {
    return this.#open
  }

  get signal(): AbortSignal {
    return this.context.worker.signal
  }

  get record(): InFlight['record'] {
    const { key, value, headers } = this.#queued.message
    return {
      headers,
      get key() {
        return key === null ? null : Buffer.from(key, 'utf8')
      },
      /** The value as JSON, for dead letters. */
      get value() {
        return value === null || value === undefined ? null : jsonCodec.encode(value)
      },
    }
  }

  keyOf(): string | null {
    return this.#queued.message.key
  }

  valueOf(): unknown {
    return this.#queued.message.value
  }

  requestOf(): ReplyRequest | undefined {
    return this.#queued.message.request
  }

  passOver(): undefined {
    return undefined
  }

  deferIfOutdated(): boolean {
    return false
  }

  describeReads(): readonly string[] {
    return []
  }

  changedRows(): ReadonlyMap<string, number> {
    return new Map()
  }

  hold(effect: Effect): void {
    effect.apply()
  }

  async send(request: SendRequest): Promise<SendReceipt> {
    return acknowledged(await this.context.worker.send(request))
  }

  join(other: InFlight): void {
    if (other instanceof ChannelEvent) this.#joined.push(other)
  }

  /** The worker does not track which instances process messages. */
  handedOn(): void {}

  finish(): boolean {
    this.#open = false
    this.task.drop()
    for (const other of this.#joined) other.finish()
    return true
  }

  rollback(): void {
    // Its effects were already sent.
  }

  retry(delayMs: number): void {
    this.#return(delayMs, 1)
  }

  requeue(): void {
    this.#return(0, 0)
  }

  /** Requeues in reverse, because each message goes to the front. */
  #return(delayMs: number, failures: number): void {
    for (const other of this.#joined.toReversed()) other.#return(delayMs, failures)
    this.#open = false
    this.task.takeBack({ ...this.#queued, attempts: this.attempts + failures }, delayMs)
  }
}
