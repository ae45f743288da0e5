import { errorText } from '@millrace/core'
import { AskFailedError } from './ask-failed-error.ts'
import type { PendingReplies } from './pending-replies.ts'
import { noReply, reasonOf, type Request } from './request.ts'

/** A request to an agent over a channel: no bytes, no topic. */
export class LocalRequest implements Request {
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

  close(): void {
    this.refuse(noReply(this.#agent))
  }

  refuse(error: Error): void {
    const failure = { agent: this.#agent, reason: reasonOf(error), said: errorText(error) }
    this.#pending.reject(this.#id, new AskFailedError(failure, error))
  }
}
