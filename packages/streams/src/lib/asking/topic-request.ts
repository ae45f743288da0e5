import {
  type Codec,
  errorText,
  type EventScope,
  type RawHeaders,
  type SendRequest,
  toError,
  type WorkerContext,
} from '@millrace/core'
import { headerNamed } from '../events/header-text.ts'
import { replyHeaders } from './reply-headers.ts'
import { noReply, reasonOf, type Request } from './request.ts'

/** The agent that answers requests, on one worker. */
export interface ReplySender {
  readonly agent: string
  readonly worker: WorkerContext
  readonly replyCodec: Codec<unknown>
}

/** The request that a record carries for this agent, if it does. */
export function requestIn(headers: RawHeaders, sender: ReplySender): Request | undefined {
  const topic = headerNamed(headers, replyHeaders.topic)
  if (topic === undefined) return undefined
  const correlationId = headerNamed(headers, replyHeaders.correlationId)
  const partition = Number(headerNamed(headers, replyHeaders.partition))
  const asked = headerNamed(headers, replyHeaders.agent)
  if (correlationId === undefined || !Number.isSafeInteger(partition) || partition < 0) return undefined
  if (asked !== undefined && asked !== sender.agent) return undefined
  return new TopicRequest(sender, { topic, partition, correlationId })
}

interface ReplyAddress {
  readonly topic: string
  readonly partition: number
  readonly correlationId: string
}

class TopicRequest implements Request {
  readonly #sender: ReplySender
  readonly #address: ReplyAddress

  constructor(sender: ReplySender, address: ReplyAddress) {
    this.#sender = sender
    this.#address = address
  }

  answer(value: unknown, event: EventScope | undefined): void {
    event?.send(this.#reply(this.#sender.replyCodec.encode(value === undefined ? null : value)))
  }

  close(event: EventScope | undefined): void {
    event?.send(this.#errorReply(noReply(this.#sender.agent)))
  }

  async refuse(error: Error): Promise<void> {
    const { worker, agent } = this.#sender
    try {
      await worker.send(this.#errorReply(error))
    } catch (thrown) {
      worker.log.warn({ agent, err: toError(thrown) }, `Agent "${agent}" could not tell an asker that it failed.`)
    }
  }

  #errorReply(error: Error): SendRequest {
    const reason = Buffer.from(reasonOf(error), 'utf8')
    return this.#reply(Buffer.from(errorText(error), 'utf8'), [[replyHeaders.error, reason]])
  }

  #reply(value: Buffer, more: RawHeaders = []): SendRequest {
    const { topic, partition, correlationId } = this.#address
    return {
      topic,
      partition,
      key: null,
      value,
      headers: [[replyHeaders.correlationId, Buffer.from(correlationId, 'utf8')], ...more],
      timestamp: this.#sender.worker.clock.now(),
    }
  }
}
