import { checkOptions, type Duration, MillraceError, type OptionNames, parseDuration } from '@millrace/core'
import type { ProcessingContext, SendReceipt } from '@millrace/worker'
import { askWindow } from '../asking/ask-window.ts'
import { Asker } from '../asking/asker.ts'
import { PendingReplies } from '../asking/pending-replies.ts'
import { LocalRequest } from '../asking/requests.ts'
import type { AnyChannel, Channel, MessageToSend } from '../channels/channel.ts'
import type { OnError } from '../errors/error-policy.ts'
import type { PassedEvent } from '../events/targets.ts'
import { followed } from '../events/trace-headers.ts'
import type { HandlerRun } from '../streams/handler-run.ts'
import type { StreamsContext } from '../streams-context.ts'
import { isRecord, noRecord } from '../topics/send-here.ts'
import type { RetryPlan } from '../events/agent-context.ts'
import type { DueReader } from '../streams/due-source.ts'
import { type AnyTopic, Topic } from '../topics/topic.ts'
import type { RecordToSend } from '../topics/topic-options.ts'
import type { HandlerResult } from './agent-options.ts'

export interface AskOptions<KI> {
  readonly key?: KI | null | undefined
  /** Default: the setting `agent.askTimeout`, 30 s. */
  readonly timeout?: Duration | undefined
}

export interface AskManyOptions<KI, VI> {
  /** Key of each request. Default: none. */
  readonly keyOf?: ((value: VI) => KI | null) | undefined
  /** Limit for each request. Default: the setting `agent.askTimeout`, 30 s. */
  readonly timeout?: Duration | undefined
}

const ASK_OPTIONS: OptionNames<AskOptions<unknown>> = { key: true, timeout: true }
const ASK_MANY_OPTIONS: OptionNames<AskManyOptions<unknown, unknown>> = { keyOf: true, timeout: true }

/** The inbox of an agent. Nothing can be sent to an agent that reads due events. */
export type AgentInbox<KI, VI> = Topic<unknown, unknown, KI, VI> | Channel<VI> | DueReader

export interface AgentShape<KI, VI> {
  readonly name: string
  readonly help: string | undefined
  /** The sources of its events, at least one. */
  readonly sources: readonly (AnyTopic | AnyChannel | DueReader)[]
  /** Receives everything sent to the agent: its first source. */
  readonly inbox: AgentInbox<KI, VI>
  /** `undefined`: the number in the settings. */
  readonly concurrency: number | undefined
  readonly ordering: 'key' | 'none'
  readonly tombstones: boolean
  /** Whether others may ask it over HTTP. */
  readonly http: boolean
  /** For each attempt at an event; `undefined`: any time. */
  readonly timeoutMs: number | undefined
  /** Most events a second on one worker; `undefined`: as many as come. */
  readonly perSecond: number | undefined
  /** Targets of yielded values. */
  readonly sinks: readonly ((value: unknown, event: PassedEvent) => unknown)[]
  /** Topics among the sinks, which the agent declares. */
  readonly sinkTopics: readonly AnyTopic[]
  readonly onError: OnError<never, never> | undefined
  /** How events wait between attempts without holding up their partition; `undefined`: they do not. */
  readonly retry: RetryPlan | undefined
  /** Calls the handler with the stream of one run. */
  readonly start: (run: HandlerRun) => HandlerResult
}

/** The compiler's message when code asks an agent that never yields. */
export interface NeverYields {
  readonly 'this agent never yields, so there is no reply to wait for: use send or cast, or yield in its handler': never
}

/** The request of an agent that yields; `never` for other agents. */
export type Askable<VI, R> = [R] extends [never] ? VI & NeverYields : VI

/**
 * A handler and the stream it works on. A descriptor: runs of the handler belong to workers.
 *
 * @example
 * const double = app.agent('double', { value: 'number' }, async function* (numbers) {
 *   for await (const n of numbers) yield n * 2
 * })
 * await double.ask(21) // 42
 */
export class Agent<KI, VI, R> {
  readonly shape: AgentShape<KI, VI>
  /** Used by sinks and `echo`. */
  readonly relay: (value: VI, event: PassedEvent) => unknown
  /** Used by `event.forward`. */
  readonly forwardFrom: (event: PassedEvent) => unknown
  readonly #context: StreamsContext
  #asked = 0

  constructor(context: StreamsContext, shape: AgentShape<KI, VI>) {
    this.#context = context
    this.shape = shape
    this.relay = shape.inbox.relay
    this.forwardFrom = shape.inbox.forwardFrom
  }

  get name(): string {
    return this.shape.name
  }

  get help(): string | undefined {
    return this.shape.help
  }

  /** Whether others may ask it over HTTP. */
  get http(): boolean {
    return this.shape.http
  }

  /** The topic or channel to which everything sent to the agent goes. */
  get inbox(): AgentInbox<KI, VI> {
    return this.shape.inbox
  }

  /**
   * Sends a record to the agent's (first) topic or channel, as `topic.send` does.
   *
   * @throws what `topic.send` or `channel.send` throws
   */
  async send(record: RecordToSend<KI, VI>): Promise<SendReceipt | undefined> {
    if (!isRecord(record)) throw noRecord(`agent "${this.name}"`, record)
    const { inbox } = this.shape
    if (inbox instanceof Topic) return await inbox.send(record)
    await inbox.send(this.#message(record))
    return undefined
  }

  /** Sends a value without a key. */
  async cast(value: VI): Promise<void> {
    await this.send({ value })
  }

  /**
   * Sends a value and resolves with the first value that the agent yields for it. The request is sent at once, even
   * inside an event. Asking an agent that never yields is a compile error.
   *
   * @throws `AskFailedError` (`ASK_FAILED`), whose message is that of the agent's error; `ASK_TIMEOUT`; `ASK_INTERRUPTED` in an event that holds up a rebalance or a
   * stop; `ASK_IN_TRANSACTION` in an agent under exactly once; what `topic.send` throws
   */
  async ask(value: Askable<VI, R>, options: AskOptions<KI> = {}): Promise<R> {
    checkOptions(`ask of agent "${this.name}"`, options, ASK_OPTIONS)
    return await this.#ask(value, options)
  }

  /** Asks for each value, at most 100 at a time, and yields the replies as they arrive. Ends with the first error. */
  async *map(
    values: Iterable<Askable<VI, R>> | AsyncIterable<Askable<VI, R>>,
    options: AskManyOptions<KI, VI> = {},
  ): AsyncGenerator<R, void, undefined> {
    checkOptions(`map of agent "${this.name}"`, options, ASK_MANY_OPTIONS)
    for await (const { reply } of askWindow(values, (value) => this.#askOne(value, options))) yield reply
  }

  /** Asks for each value, at most 100 at a time, and resolves with all replies in the order of the values. */
  async join(
    values: Iterable<Askable<VI, R>> | AsyncIterable<Askable<VI, R>>,
    options: AskManyOptions<KI, VI> = {},
  ): Promise<R[]> {
    checkOptions(`join of agent "${this.name}"`, options, ASK_MANY_OPTIONS)
    const replies: R[] = []
    for await (const { index, reply } of askWindow(values, (value) => this.#askOne(value, options)))
      replies[index] = reply
    return replies
  }

  #askOne(value: VI, { keyOf, timeout }: AskManyOptions<KI, VI>): Promise<R> {
    return this.#ask(value, { key: keyOf?.(value), timeout })
  }

  async #ask(value: VI, { key, timeout }: AskOptions<KI>): Promise<R> {
    const { inbox } = this.shape
    const timeoutMs =
      timeout === undefined ? this.#context.askTimeoutMs() : parseDuration(timeout, `ask of agent "${this.name}"`)
    const work = this.#context.contexts.getStore()
    if (work?.agent !== undefined && work.worker?.exactlyOnce === true)
      throw new MillraceError(
        'ASK_IN_TRANSACTION',
        `Agent "${work.agent}" asks agent "${this.name}" under exactly once.`,
      )
    const client = work?.client ?? (await this.#context.context())
    const asker = this.#askerIn(work)
    const ended = asker?.ended()
    if (ended !== undefined) throw ended
    const expectation = { agent: this.name, timeoutMs, asker }
    if (inbox instanceof Topic) {
      const request = inbox.request({ key, value }, client.clock.now())
      const trace = this.#context.tracing?.sendStarted({ ...request, asks: this.name })
      const replies = this.#context.replies.of(client)
      const reply =
        trace === undefined
          ? replies.ask(request, expectation)
          : followed(trace, replies.ask({ ...request, headers: trace.headers }, expectation))
      // The reply's bytes were encoded from a value that the handler yielded.
      return (await reply) as R
    }
    const pending = new PendingReplies(client.clock)
    const id = String(++this.#asked)
    const reply = pending.expect(id, expectation)
    inbox
      .post(this.#message({ key, value }), new LocalRequest(this.name, id, pending))
      .catch((error: unknown) => pending.reject(id, error))
    return (await reply) as R
  }

  #askerIn(work: ProcessingContext | undefined): Asker | undefined {
    if (work?.event === undefined || work.worker === undefined) return undefined
    const { event, worker } = work
    return new Asker({ event, worker, agent: this.name, isHandedOut: this.shape.inbox instanceof Topic })
  }

  #message({ key, value, headers, timestamp }: RecordToSend<KI, VI>): MessageToSend<VI> {
    if (value === null)
      throw new MillraceError('ENCODE_FAILED', `Agent "${this.name}" reads a channel, which has no tombstones.`)
    return { key: key === undefined || key === null ? null : String(key), value, headers, timestamp }
  }
}

/** Any agent, for running and listing it. */
export type AnyAgent = Pick<Agent<never, never, unknown>, 'name' | 'help' | 'http' | 'shape' | 'ask'>
