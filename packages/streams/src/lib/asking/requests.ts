import {
  errorText,
  type EventTrace,
  headerNamed,
  isMillraceError,
  MillraceError,
  type RawHeaders,
  toError,
} from '@millrace/core'
import type { SendRequest } from '@millrace/worker'
import { followed, sendFollowed } from '../events/trace-headers.ts'
import type { AgentContext } from '../events/agent-context.ts'
import type { InFlight, ReplyRequest } from '../events/in-flight.ts'
import { AskFailedError, type PendingReplies } from './pending-replies.ts'

/** Headers of requests and replies. */
export const replyHeaders = {
  topic: 'millrace-reply-topic',
  partition: 'millrace-reply-partition',
  correlationId: 'millrace-correlation-id',
  /** The asked agent; other agents on the same topic do not answer. */
  agent: 'millrace-reply-agent',
  /** Only on error replies, where the value is the message. */
  error: 'millrace-reply-error',
} as const

/** The code of the error, or the class of a user's error. */
function reasonOf(error: Error): string {
  return isMillraceError(error) ? error.code : error.name
}

/** The reply to a request that the handler left without one. */
function noReply(agent: string): MillraceError {
  return new MillraceError('ASK_FAILED', `Agent "${agent}" finished the event without yielding a reply.`)
}

/** A request to an agent over a channel: no bytes, no topic. */
export class LocalRequest implements ReplyRequest {
  readonly #agent: string
  readonly #id: string
  readonly #pending: PendingReplies

  constructor(agent: string, id: string, pending: PendingReplies) {
    this.#agent = agent
    this.#id = id
    this.#pending = pending
  }

  answer(value: unknown): void {
    this.#pending.resolve(this.#id, value)
  }

  close(_event: InFlight, isAnswered: boolean): void {
    if (!isAnswered) this.refuse(noReply(this.#agent))
  }

  refuse(error: Error): void {
    const failure = { agent: this.#agent, reason: reasonOf(error), said: errorText(error) }
    this.#pending.reject(this.#id, new AskFailedError(failure, error))
  }
}

/**
 * The record's request to this agent, if any. Replies go only to the app's own reply topic, because otherwise anybody
 * who can write a record could make the worker write to any topic.
 */
export function requestIn(headers: RawHeaders, context: AgentContext): ReplyRequest | undefined {
  const topic = headerNamed(headers, replyHeaders.topic)
  if (topic !== context.replyTopic) return undefined
  const correlationId = headerNamed(headers, replyHeaders.correlationId)
  const partition = Number(headerNamed(headers, replyHeaders.partition))
  const asked = headerNamed(headers, replyHeaders.agent)
  if (correlationId === undefined || !Number.isSafeInteger(partition) || partition < 0) return undefined
  if (asked !== undefined && asked !== context.agent) return undefined
  return new TopicRequest(context, { topic, partition, correlationId })
}

interface ReplyAddress {
  readonly topic: string
  readonly partition: number
  readonly correlationId: string
}

class TopicRequest implements ReplyRequest {
  readonly #context: AgentContext
  readonly #address: ReplyAddress

  constructor(context: AgentContext, address: ReplyAddress) {
    this.#context = context
    this.#address = address
  }

  answer(value: unknown, event: InFlight): void {
    this.#send(this.#reply(this.#context.replyCodec.encode(value === undefined ? null : value)), event)
  }

  close(event: InFlight, isAnswered: boolean): void {
    if (!isAnswered) this.#send(this.#errorReply(noReply(this.#context.agent)), event)
  }

  async refuse(error: Error, from: EventTrace | undefined): Promise<void> {
    const { tracing, worker } = this.#context
    const reply = this.#errorReply(error)
    const trace = tracing?.sendStarted({ ...reply, from })
    const sent =
      trace === undefined ? worker.send(reply) : followed(trace, worker.send({ ...reply, headers: trace.headers }))
    await sent.catch(this.#notSent)
  }

  /**
   * Sent as an effect of the event. A missing reply topic does not fail the event, because requests name that topic
   * themselves.
   */
  #send(reply: SendRequest, event: InFlight): void {
    void sendFollowed(this.#context.tracing, { ...reply, onMissing: this.#notSent }, event)
  }

  readonly #notSent = (thrown: unknown): void => {
    const { worker, agent } = this.#context
    worker.log.warn({ agent, err: toError(thrown) }, `Agent "${agent}" could not send a reply to the asker.`)
  }

  #errorReply(error: Error): SendRequest {
    const reason = Buffer.from(reasonOf(error), 'utf8')
    return this.#reply(Buffer.from(this.#context.worker.redact(errorText(error)), 'utf8'), [
      [replyHeaders.error, reason],
    ])
  }

  #reply(value: Buffer, more: RawHeaders = []): SendRequest {
    const { topic, partition, correlationId } = this.#address
    return {
      topic,
      partition,
      key: null,
      value,
      headers: [[replyHeaders.correlationId, Buffer.from(correlationId, 'utf8')], ...more],
      timestamp: this.#context.worker.clock.now(),
    }
  }
}
