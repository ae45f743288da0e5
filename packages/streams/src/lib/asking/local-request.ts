import { isMillraceError, MillraceError } from '@millrace/core'
import type { PendingReplies } from './pending-replies.ts'
import type { Request } from './request.ts'

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
    this.refuse(new Error(`Agent "${this.#agent}" finished the event without yielding a reply.`))
  }

  refuse(error: Error): void {
    const said = isMillraceError(error) ? error.detail : error.message
    this.#pending.reject(this.#id, new MillraceError('ASK_FAILED', said, { cause: error }))
  }
}
