import { MillraceError, type WorkerContext } from '@millrace/core'
import type { Request } from '../asking/request.ts'
import { AgentScope } from '../events/agent-scope.ts'
import type { Delivery } from '../events/delivery.ts'
import { encodeHeaders, type HeaderValues } from '../events/header-text.ts'
import type { DeliveryHost } from '../events/topic-delivery.ts'
import { withTrace } from '../events/trace-headers.ts'
import type { StreamsDeps } from '../streams-deps.ts'
import { isRecord, noEvent, noRecord } from '../topics/send-here.ts'
import type { ForwardedEvent } from '../topics/value-target.ts'
import type { ChannelMessage } from './channel-message.ts'
import { ChannelQueue } from './channel-queue.ts'

export interface MessageToSend<T> {
  /** Messages of one key go to one instance of an agent, in order. */
  readonly key?: string | null | undefined
  readonly value: T
  readonly headers?: HeaderValues | undefined
  /** Milliseconds since the epoch. Default: that of the event in hand, else now. */
  readonly timestamp?: number | undefined
}

/**
 * A topic in the memory of one worker: its agents get each value as it is, without encoding. It holds 1,000 messages
 * for an agent; senders then wait. What is in it is lost with the process.
 *
 * @example
 * const alarms = app.channel<Alarm>('alarms')
 * app.agent('page-someone', alarms, async (alarms) => { for await (const alarm of alarms) await page(alarm) })
 */
export class Channel<T> {
  readonly name: string
  /** Used by sinks and `echo`. */
  readonly relay: (value: T, delivery: Delivery) => void | Promise<void>
  /** Used by `event.forward`. */
  readonly forwardFrom: (event: ForwardedEvent) => void | Promise<void>
  readonly #deps: StreamsDeps
  readonly #queues = new WeakMap<WorkerContext, ChannelQueue[]>()

  constructor(deps: StreamsDeps, name: string) {
    this.#deps = deps
    this.name = name
    this.relay = (value, delivery) => this.#passOn(value, delivery)
    this.forwardFrom = ({ value, delivery }) => this.#passOn(value, delivery)
  }

  /**
   * Sends to the agents of this worker; resolves when there is room. Within an event of a topic the message is an effect
   * of the event: it is there once the event finishes.
   *
   * @throws `CHANNEL_CLOSED` when the worker is stopping or no agent reads the channel, `NO_WORKER`; in agents
   * `NO_CURRENT_EVENT` between events
   */
  async send(record: MessageToSend<T>): Promise<void> {
    await this.post(record, undefined)
  }

  /** As `send`, for somebody who waits for an answer: a request goes out at once also within an event. */
  async post(given: MessageToSend<T>, request: Request | undefined): Promise<void> {
    if (!isRecord(given)) throw noRecord(`channel "${this.name}"`, given)
    const { key, value, headers, timestamp } = given
    const work = this.#deps.scope.getStore()
    const worker = work?.worker ?? this.#deps.runningWorker()
    if (worker === undefined)
      throw new MillraceError('NO_WORKER', `Channel "${this.name}" is in the memory of a worker, and none runs here.`)
    const message = (now: number): ChannelMessage => ({
      key: key ?? null,
      value,
      headers: withTrace(encodeHeaders(headers), work),
      timestamp: timestamp ?? now,
      request,
    })
    const queues = this.#queuesOf(worker)
    if (work?.agent === undefined || request !== undefined) {
      await roomIn(queues)
      return putInto(queues, message(worker.clock.now()))
    }
    const delivery = work instanceof AgentScope ? work.delivery : undefined
    if (delivery === undefined || !delivery.open) {
      throw noEvent(
        work.agent,
        this.name,
        delivery === undefined ? 'it has no event in hand' : 'the event it belongs to is finished',
      )
    }
    await roomIn(queues)
    hold(delivery, queues, message(delivery.timestamp))
  }

  /** Called when a worker starts: the lanes of an agent's instances. */
  subscribe(host: DeliveryHost, instances: number): ChannelQueue['lanes'] {
    const queue = new ChannelQueue({ name: this.name, instances, host })
    const queues = this.#queues.get(host.worker)
    if (queues === undefined) this.#queues.set(host.worker, [queue])
    else queues.push(queue)
    return queue.lanes
  }

  /** Called when a worker stops: what is there is still handed out. */
  close(worker: WorkerContext): void {
    for (const queue of this.#queues.get(worker) ?? []) queue.close()
  }

  #passOn(value: unknown, delivery: Delivery): void | Promise<void> {
    const work = this.#deps.scope.getStore()
    const worker = work?.worker
    if (worker === undefined)
      throw new MillraceError('NO_WORKER', `Channel "${this.name}" is in the memory of a worker, and none runs here.`)
    const queues = this.#queuesOf(worker)
    const { rawKey, rawHeaders, timestamp } = delivery
    const key = rawKey === null ? null : rawKey.toString('utf8')
    const message: ChannelMessage = { key, value, headers: rawHeaders, timestamp, request: undefined }
    if (queues.every((queue) => queue.hasRoom)) return hold(delivery, queues, message)
    return roomIn(queues).then(() => hold(delivery, queues, message))
  }

  #queuesOf(worker: WorkerContext): readonly ChannelQueue[] {
    const queues = this.#queues.get(worker)
    if (queues === undefined)
      throw new MillraceError('CHANNEL_CLOSED', `No agent of this worker reads channel "${this.name}".`)
    return queues
  }
}

/** Any channel, for reading. */
export type AnyChannel = Channel<never>

async function roomIn(queues: readonly ChannelQueue[]): Promise<void> {
  for (const queue of queues) if (!queue.hasRoom) await queue.room()
}

function putInto(queues: readonly ChannelQueue[], message: ChannelMessage): void {
  for (const queue of queues) queue.put(message)
}

function hold(delivery: Delivery, queues: readonly ChannelQueue[], message: ChannelMessage): void {
  delivery.hold({ apply: () => putInto(queues, message), drop: () => {} })
}
