import { type Deferred, deferred, MillraceError, partitionForKey, type Scheduled } from '@millrace/core'
import type { Delivery } from '../events/delivery.ts'
import type { DeliveryHost } from '../events/topic-delivery.ts'
import type { Inlet } from '../streams/inlet.ts'
import type { Wakeup } from '../streams/wakeup.ts'
import { ChannelDelivery, type MessageKeeper } from './channel-delivery.ts'
import type { ChannelMessage, QueuedMessage } from './channel-message.ts'

/** Messages that wait for one agent on one worker, at most; senders then wait. */
export const CHANNEL_CAPACITY = 1000

export interface ChannelQueueOptions {
  readonly name: string
  readonly instances: number
  readonly host: DeliveryHost
}

/** The messages of a channel for one agent of one worker: a lane for each instance, a key always in the same one. */
export class ChannelQueue {
  readonly lanes: readonly ChannelLane[]
  readonly #name: string
  readonly #senders: Deferred<void>[] = []
  #waiting = 0
  #closing = false

  constructor({ name, instances, host }: ChannelQueueOptions) {
    this.#name = name
    this.lanes = Array.from(
      { length: instances },
      (_, index) => new ChannelLane({ name, index, host, left: () => this.#taken() }),
    )
  }

  /** @throws `CHANNEL_CLOSED` */
  get hasRoom(): boolean {
    if (this.#closing)
      throw new MillraceError('CHANNEL_CLOSED', `Channel "${this.#name}" takes nothing more: the worker is stopping.`)
    return this.#waiting < CHANNEL_CAPACITY
  }

  /** Resolves when there is room. */
  async room(): Promise<void> {
    while (!this.hasRoom) {
      const sender = deferred<void>()
      this.#senders.push(sender)
      await sender.promise
    }
  }

  /** Also while it is closing: an event that had room finishes. */
  put(message: ChannelMessage): void {
    this.#waiting++
    this.#laneFor(message.key).put(message)
  }

  /** Takes nothing more; what is there is still handed out, and then the lanes are closed. */
  close(): void {
    this.#closing = true
    for (const sender of this.#senders.splice(0)) sender.resolve()
    for (const lane of this.lanes) lane.close()
  }

  #taken(): void {
    this.#waiting--
    if (this.#waiting < CHANNEL_CAPACITY) this.#senders.shift()?.resolve()
  }

  #laneFor(key: string | null): ChannelLane {
    const { lanes } = this
    const lane = key === null ? leastLoaded(lanes) : lanes[partitionForKey(Buffer.from(key, 'utf8'), lanes.length)]
    if (lane === undefined) throw new Error(`Channel "${this.#name}" has no lane.`)
    return lane
  }
}

function leastLoaded(lanes: readonly ChannelLane[]): ChannelLane | undefined {
  let best = lanes[0]
  for (const lane of lanes) if (best !== undefined && lane.load < best.load) best = lane
  return best
}

interface LaneOptions {
  readonly name: string
  readonly index: number
  readonly host: DeliveryHost
  /** A message was taken out for the first time. */
  readonly left: () => void
}

class ChannelLane implements Inlet, MessageKeeper {
  readonly name: string
  readonly where: string
  readonly index: number
  readonly valueSpec: undefined = undefined
  readonly branch: undefined = undefined
  /** Never called: a channel drains by handing out. */
  onDrain: () => void = () => {}
  /** Never called: nobody waits for an event of a channel. */
  onWanted: () => void = () => {}
  readonly #host: DeliveryHost
  readonly #left: () => void
  readonly #fresh: QueuedMessage[] = []
  /** Given back: handed out before fresh ones, last given back first. */
  readonly #returned: QueuedMessage[] = []
  readonly #watchers = new Set<Wakeup>()
  #head = 0
  #nextOffset = 0
  #inHand = 0
  #pause: Scheduled | undefined
  #closing = false

  constructor({ name, index, host, left }: LaneOptions) {
    this.name = name
    this.where = `channel "${name}"`
    this.index = index
    this.#host = host
    this.#left = left
  }

  get load(): number {
    return this.#fresh.length - this.#head + this.#returned.length + this.#inHand
  }

  get closed(): boolean {
    return this.#host.worker.signal.aborted || (this.#closing && this.load === 0)
  }

  get signal(): AbortSignal {
    return this.#host.worker.signal
  }

  put(message: ChannelMessage): void {
    this.#fresh.push({ message, offset: this.#nextOffset++, attempts: 0 })
    this.#wake()
  }

  take(): Delivery | undefined {
    if (this.#pause !== undefined || this.#host.worker.signal.aborted) return undefined
    const queued = this.#returned.pop() ?? this.#takeFresh()
    if (queued === undefined) return undefined
    this.#inHand++
    return new ChannelDelivery(queued, this, this.#host)
  }

  watch(wakeup: Wakeup): void {
    this.#watchers.add(wakeup)
    if (this.closed || (this.load > this.#inHand && this.#pause === undefined)) this.#wake()
  }

  drop(): void {
    this.#inHand--
    if (this.closed) this.#wake()
  }

  takeBack(queued: QueuedMessage, delayMs: number): void {
    this.#inHand--
    this.#returned.push(queued)
    if (delayMs <= 0) return this.#wake()
    this.#pause?.cancel()
    this.#pause = this.#host.worker.clock.schedule(delayMs, () => {
      this.#pause = undefined
      this.#wake()
    })
  }

  close(): void {
    this.#closing = true
    this.#wake()
  }

  #takeFresh(): QueuedMessage | undefined {
    const queued = this.#fresh[this.#head]
    if (queued === undefined) return undefined
    this.#head++
    if (this.#head > 256 && this.#head * 2 > this.#fresh.length) {
      this.#fresh.splice(0, this.#head)
      this.#head = 0
    }
    this.#left()
    return queued
  }

  #wake(): void {
    const watchers = [...this.#watchers]
    this.#watchers.clear()
    for (const wakeup of watchers) wakeup.wake()
  }
}
