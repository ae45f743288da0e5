import { type Deferred, deferred, MillraceError, type Scheduled } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import type { AgentContext } from '../events/agent-context.ts'
import { type EventSource, type Wakeup, Watchers } from '../events/source.ts'
import { StreamEvent } from '../events/stream-event.ts'
import { ChannelEvent, type ChannelMessage, type MessageQueue, type QueuedMessage } from './channel-event.ts'

/** The most messages that wait for one agent on one worker; beyond it senders wait. */
export const CHANNEL_CAPACITY = 1000

/** One channel's messages for one agent on one worker: a queue for each instance; a key always uses the same queue. */
export class ChannelQueues {
  readonly instances: readonly InstanceQueue[]
  readonly #name: string
  readonly #senders: Deferred<void>[] = []
  #waiting = 0
  #closing = false

  constructor(name: string, context: AgentContext, instances: number) {
    this.#name = name
    this.instances = Array.from({ length: instances }, (_, index) => new InstanceQueue(this, { name, index, context }))
  }

  /** @throws `CHANNEL_CLOSED` */
  get hasRoom(): boolean {
    if (this.#closing)
      throw new MillraceError(
        'CHANNEL_CLOSED',
        `Channel "${this.#name}" accepts no more messages: the worker is stopping.`,
      )
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

  /** Also works while the queue closes, because an event that found room may finish. */
  put(message: ChannelMessage): void {
    this.#waiting++
    this.#queueOf(message.key).put(message)
  }

  /** Accepts no more messages, hands out the waiting ones, then closes the queues. */
  close(): void {
    this.#closing = true
    for (const sender of this.#senders.splice(0)) sender.resolve()
    for (const queue of this.instances) queue.close()
  }

  /** Counts a message taken for the first time. */
  taken(): void {
    this.#waiting--
    if (this.#waiting < CHANNEL_CAPACITY) this.#senders.shift()?.resolve()
  }

  #queueOf(key: string | null): InstanceQueue {
    const { instances } = this
    const queue =
      key === null ? leastLoaded(instances) : instances[partitionForKey(Buffer.from(key, 'utf8'), instances.length)]
    if (queue === undefined) throw new Error(`Channel "${this.#name}" has no queue.`)
    return queue
  }
}

function leastLoaded(queues: readonly InstanceQueue[]): InstanceQueue | undefined {
  let best = queues[0]
  for (const queue of queues) if (best !== undefined && queue.load < best.load) best = queue
  return best
}

class InstanceQueue implements EventSource, MessageQueue {
  readonly name: string
  readonly where: string
  readonly index: number
  readonly valueSpec: undefined = undefined
  readonly keys: undefined = undefined
  readonly subscriptions: readonly string[] = []
  readonly branch: undefined = undefined
  /** Never called: a channel drains by handing out its messages. */
  onDrain: () => void = () => {}
  /** Never called: nothing waits for an event of a channel. */
  onWanted: () => void = () => {}
  readonly context: AgentContext
  readonly #all: ChannelQueues
  readonly #fresh: QueuedMessage[] = []
  /** Requeued messages, which come before new ones; the last requeued comes first. */
  readonly #returned: QueuedMessage[] = []
  readonly #watchers = new Watchers()
  #head = 0
  #nextOffset = 0
  #inFlight = 0
  #pause: Scheduled | undefined
  #closing = false

  constructor(all: ChannelQueues, { name, index, context }: Pick<MessageQueue, 'name' | 'index' | 'context'>) {
    this.name = name
    this.where = `channel "${name}"`
    this.index = index
    this.context = context
    this.#all = all
    context.hold.watch(() => this.#watchers.wake())
  }

  get load(): number {
    return this.#fresh.length - this.#head + this.#returned.length + this.#inFlight
  }

  get closed(): boolean {
    // Messages for a paused agent would hold up a stop for ever; like those of a crash they end with the worker.
    const left = this.context.hold.isHeld ? this.#inFlight : this.load
    return this.context.worker.signal.aborted || (this.#closing && left === 0)
  }

  put(message: ChannelMessage): void {
    this.#fresh.push({ message, offset: this.#nextOffset++, attempts: 0 })
    this.#watchers.wake()
  }

  take(): StreamEvent | undefined {
    if (this.#pause !== undefined || this.context.hold.isHeld || this.context.worker.signal.aborted) return undefined
    const queued = this.#returned.pop() ?? this.#takeFresh()
    if (queued === undefined) return undefined
    this.#inFlight++
    const event = new ChannelEvent(queued, this)
    return StreamEvent.of(event, event, undefined)
  }

  watch(wakeup: Wakeup): void {
    this.#watchers.add(wakeup)
    const mayTake = this.load > this.#inFlight && this.#pause === undefined && !this.context.hold.isHeld
    if (this.closed || mayTake) this.#watchers.wake()
  }

  drop(): void {
    this.#inFlight--
    if (this.closed) this.#watchers.wake()
  }

  takeBack(queued: QueuedMessage, delayMs: number): void {
    this.#inFlight--
    this.#returned.push(queued)
    if (delayMs <= 0) return this.#watchers.wake()
    this.#pause?.cancel()
    this.#pause = this.context.worker.clock.schedule(delayMs, () => {
      this.#pause = undefined
      this.#watchers.wake()
    })
  }

  close(): void {
    this.#closing = true
    this.#watchers.wake()
  }

  #takeFresh(): QueuedMessage | undefined {
    const queued = this.#fresh[this.#head]
    if (queued === undefined) return undefined
    this.#head++
    if (this.#head > 256 && this.#head * 2 > this.#fresh.length) {
      this.#fresh.splice(0, this.#head)
      this.#head = 0
    }
    this.#all.taken()
    return queued
  }
}
