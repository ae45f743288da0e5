import { MillraceError, type RawHeaders, validateName } from '@millrace/core'
import type { WorkerContext } from '@millrace/worker'
import { currentEvent } from '../events/between-events.ts'
import { encodeHeaders, type HeaderValues } from '../events/headers.ts'
import type { InFlight, ReplyRequest } from '../events/in-flight.ts'
import type { AgentContext } from '../events/agent-context.ts'
import type { PassedEvent } from '../events/targets.ts'
import { withTrace } from '../events/trace-headers.ts'
import type { StreamsContext } from '../streams-context.ts'
import type { OpenSourceOptions, SourcePlan } from '../topics/source-plan.ts'
import { isRecord, noEvent, noRecord } from '../topics/send-here.ts'
import type { ChannelMessage } from './channel-event.ts'
import { ChannelQueues } from './channel-queue.ts'

export interface MessageToSend<T> {
  /** Messages of one key go to one instance of an agent, in order. */
  readonly key?: string | null | undefined
  readonly value: T
  readonly headers?: HeaderValues | undefined
  /** Milliseconds since the epoch. Default: the current event's timestamp, or the current time. */
  readonly timestamp?: number | undefined
}

/**
 * A topic in the memory of one worker: its agents receive each value without encoding. It holds 1,000 messages for
 * each agent; senders then wait. Messages are lost with the process.
 *
 * @example
 * const alarms = app.channel<Alarm>('alarms')
 * app.agent('page-someone', alarms, async (alarms) => { for await (const alarm of alarms) await page(alarm) })
 */
export class Channel<T> {
  readonly name: string
  /** Used by sinks and `echo`. */
  readonly relay: (value: T, event: PassedEvent) => unknown
  /** Used by `event.forward`. */
  readonly forwardFrom: (event: PassedEvent) => unknown
  readonly #context: StreamsContext
  readonly #queues = new WeakMap<WorkerContext, ChannelQueues[]>()

  constructor(context: StreamsContext, name: string) {
    this.#context = context
    this.name = name
    this.relay = (value, event) => this.#passOn(value, event)
    this.forwardFrom = (event) => this.#passOn(event.value, event)
  }

  /**
   * Sends to the agents of this worker; resolves when there is room. Inside an event of a topic the message is an
   * effect of the event, and reaches the agents once the event finishes.
   *
   * @throws `CHANNEL_CLOSED` when the worker is stopping or no agent reads the channel, `NO_WORKER`; in agents
   * `NO_CURRENT_EVENT` between events
   */
  async send(record: MessageToSend<T>): Promise<void> {
    await this.post(record, undefined)
  }

  /** Like `send`, but a request is sent at once, even inside an event. */
  async post(given: MessageToSend<T>, request: ReplyRequest | undefined): Promise<void> {
    if (!isRecord(given)) throw noRecord(`channel "${this.name}"`, given)
    const { key, value, headers, timestamp } = given
    const work = this.#context.contexts.getStore()
    const worker = work?.worker ?? this.#context.runningWorker()
    if (worker === undefined)
      throw new MillraceError('NO_WORKER', `Channel "${this.name}" is in the memory of a worker, and none runs here.`)
    const message = (now: number): ChannelMessage => ({
      key: key ?? null,
      value,
      headers: this.#followed(withTrace(encodeHeaders(headers), work)),
      timestamp: timestamp ?? now,
      request,
    })
    const queues = this.#queuesOf(worker)
    if (work?.agent === undefined || request !== undefined) {
      await roomIn(queues)
      return putInto(queues, message(worker.clock.now()))
    }
    const event = currentEvent(work)
    if (event === undefined || !event.open) {
      const why = event === undefined ? 'it has no current event' : 'the event it belongs to is finished'
      throw noEvent(work.agent, this.name, why)
    }
    await roomIn(queues)
    hold(event.inFlight, queues, message(event.timestamp))
  }

  /** Used by agents that read the channel. */
  planFor(plan: Pick<SourcePlan<never>, 'other'>): void {
    plan.other(`channel ${this.name}`, this)
  }

  /** Called at the start of a worker: opens a queue for each instance of an agent. */
  open(context: AgentContext, { instances }: Pick<OpenSourceOptions, 'instances'>): ChannelQueues['instances'] {
    const queues = new ChannelQueues(this.name, context, instances)
    const known = this.#queues.get(context.worker)
    if (known === undefined) this.#queues.set(context.worker, [queues])
    else known.push(queues)
    return queues.instances
  }

  /** Called at a worker's stop: waiting messages are still handed out. */
  close(worker: WorkerContext): void {
    for (const queue of this.#queues.get(worker) ?? []) queue.close()
  }

  #passOn(value: unknown, { inFlight, rawHeaders }: PassedEvent): void | Promise<void> {
    const work = this.#context.contexts.getStore()
    const worker = work?.worker
    if (worker === undefined)
      throw new MillraceError('NO_WORKER', `Channel "${this.name}" is in the memory of a worker, and none runs here.`)
    const queues = this.#queuesOf(worker)
    const { record, timestamp } = inFlight
    const key = record.key === null ? null : record.key.toString('utf8')
    const message = { key, value, headers: this.#followed(rawHeaders), timestamp, request: undefined }
    if (queues.every((queue) => queue.hasRoom)) return hold(inFlight, queues, message)
    return roomIn(queues).then(() => hold(inFlight, queues, message))
  }

  /** No wait is needed, because a message arrives immediately. */
  #followed(headers: RawHeaders): RawHeaders {
    const trace = this.#context.tracing?.sendStarted({ topic: this.name, isChannel: true, headers })
    trace?.end()
    return trace?.headers ?? headers
  }

  #queuesOf(worker: WorkerContext): readonly ChannelQueues[] {
    const queues = this.#queues.get(worker)
    if (queues === undefined)
      throw new MillraceError('CHANNEL_CLOSED', `No agent of this worker reads channel "${this.name}".`)
    return queues
  }
}

/** An in-memory topic. Its name is for messages; without one it is called `channel`. */
export function createChannel<T>(context: StreamsContext, name = 'channel'): Channel<T> {
  return new Channel<T>(context, validateName('channel', name))
}

/** Any channel, for reading. */
export type AnyChannel = Channel<never>

async function roomIn(queues: readonly ChannelQueues[]): Promise<void> {
  for (const queue of queues) if (!queue.hasRoom) await queue.room()
}

function putInto(queues: readonly ChannelQueues[], message: ChannelMessage): void {
  for (const queue of queues) queue.put(message)
}

function hold(event: InFlight, queues: readonly ChannelQueues[], message: ChannelMessage): void {
  event.hold({ apply: () => putInto(queues, message), drop: () => {} })
}
