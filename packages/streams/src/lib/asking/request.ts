import { type EventScope, isMillraceError, MillraceError } from '@millrace/core'

/** Somebody waits for an answer to an event. Each request gets one of the three calls. */
export interface Request {
  /** The answer belongs to the event: it goes out when the event finishes. */
  answer(value: unknown, event: EventScope | undefined): void
  /** The event finishes without an answer, which is an error for whoever asked. */
  close(event: EventScope | undefined): void
  /** The agent failed for good: said at once, whatever becomes of the event. */
  refuse(error: Error): void | Promise<void>
}

/** What an error reply says beside the message: the code, or the class of an error of the user's. */
export function reasonOf(error: Error): string {
  return isMillraceError(error) ? error.code : error.name
}

/** The answer to a request that was handled without one. */
export function noReply(agent: string): MillraceError {
  return new MillraceError('ASK_FAILED', `Agent "${agent}" finished the event without yielding a reply.`)
}
