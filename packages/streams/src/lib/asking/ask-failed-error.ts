import { MillraceError } from '@millrace/core'

/**
 * What `ask` rejects with when the agent that was asked has failed: `message` is what the agent's own error said, word
 * for word, with nothing around it. Its `code` is `ASK_FAILED`.
 *
 * @example
 * await payments.ask(order).catch((error) => { if (error instanceof AskFailedError) console.log(error.agent, error.message) })
 */
export class AskFailedError extends MillraceError {
  /** The agent that was asked. */
  readonly agent: string
  /** Code of its error where that was one of Millrace, else the name of its class. */
  readonly reason: string

  constructor({ agent, reason, said }: { agent: string; reason: string; said: string }, cause?: Error) {
    super('ASK_FAILED', said, cause === undefined ? undefined : { cause })
    this.message = said
    this.agent = agent
    this.reason = reason
  }
}
