import { type Effect, jsonCodec, type RawHeaders, type SendRequest } from '@millrace/core'
import { Delivery } from '../events/delivery.ts'
import type { DeliveryHost } from '../events/topic-delivery.ts'
import type { QueuedMessage } from './channel-message.ts'

/** What a delivery does with its message in the end. */
export interface MessageKeeper {
  readonly name: string
  /** Position of the instance, as the partition of its events. */
  readonly index: number
  readonly signal: AbortSignal
  /** Done with. */
  drop(): void
  /** To be handed out again before any other. */
  takeBack(queued: QueuedMessage, delayMs: number): void
}

/** A message of a channel. It has no task: what it sends is acknowledged at once, not undone when it fails. */
export class ChannelDelivery extends Delivery {
  override readonly event: undefined = undefined
  readonly #queued: QueuedMessage
  readonly #keeper: MessageKeeper
  readonly #host: DeliveryHost

  constructor(queued: QueuedMessage, keeper: MessageKeeper, host: DeliveryHost) {
    super(host.counters, queued.attempts === 0)
    this.#queued = queued
    this.#keeper = keeper
    this.#host = host
    this.request = queued.message.request
  }

  override get topic(): string {
    return this.#keeper.name
  }

  override get partition(): number {
    return this.#keeper.index
  }

  override get offset(): number {
    return this.#queued.offset
  }

  override get timestamp(): number {
    return this.#queued.message.timestamp
  }

  override get rawKey(): Buffer | null {
    const { key } = this.#queued.message
    return key === null ? null : Buffer.from(key, 'utf8')
  }

  override get rawValue(): undefined {
    return undefined
  }

  override get valueSpec(): undefined {
    return undefined
  }

  override get rawHeaders(): RawHeaders {
    return this.#queued.message.headers
  }

  override get signal(): AbortSignal {
    return this.#keeper.signal
  }

  override get attempts(): number {
    return this.#queued.attempts
  }

  override get refused(): Error | undefined {
    return undefined
  }

  override get isSetAside(): boolean {
    return false
  }

  override describeReads(): readonly string[] {
    return []
  }

  override handBackIfOutdated(): boolean {
    return false
  }

  override get isWanted(): boolean {
    return false
  }

  override get isForAnother(): boolean {
    return false
  }

  override get batchGroup(): object {
    return this.#keeper
  }

  override get open(): boolean {
    return !this.over
  }

  override key(): unknown {
    return this.#queued.message.key
  }

  override decode(): boolean {
    this.value = this.cameAs = this.#queued.message.value
    return true
  }

  override original(): Buffer | null {
    const { value } = this.#queued.message
    return value === null || value === undefined ? null : jsonCodec.encode(value)
  }

  override async send(request: SendRequest): Promise<void> {
    await this.#host.worker.send(request)
  }

  override hold(effect: Effect): void {
    effect.apply()
  }

  protected override end(): boolean {
    this.#keeper.drop()
    for (const _ of this.joined) this.#keeper.drop()
    return true
  }

  protected override undo(): void {
    // What it did is out already.
  }

  protected override again(delayMs: number): void {
    this.#return(delayMs, 1)
  }

  protected override giveBack(): void {
    this.#return(0, 0)
  }

  protected override unite(): void {
    // `joined` says it all.
  }

  #return(delayMs: number, failures: number): void {
    for (const member of [...this.joined].reverse())
      if (member instanceof ChannelDelivery) member.#giveTo(delayMs, failures)
    this.#giveTo(delayMs, failures)
  }

  #giveTo(delayMs: number, failures: number): void {
    this.#keeper.takeBack({ ...this.#queued, attempts: this.#queued.attempts + failures }, delayMs)
  }
}
