import { isMillraceError, toError, type ErrorCode } from '@millrace/core'
import { isRetriable, kafkaError, kafkaErrorName, type Right } from '../errors/kafka-errors.ts'
import type { Reconnects } from './reconnects.ts'

/** A temporary failure: the operation is retried after `Reconnects.wait`. Never leaves the driver. */
export class PassingError extends Error {
  override readonly name: string = 'PassingError'
}

/** Throws for an error code: a `PassingError` if it is temporary, otherwise the Millrace error for it. */
export function checkCode(code: number, what: string, fallback: ErrorCode = 'WORKER_FAILED', right?: Right): void {
  if (code === 0) return
  if (isRetriable(code)) throw new PassingError(`Kafka answered ${kafkaErrorName(code)}.`)
  throw kafkaError(code, what, fallback, right)
}

/**
 * True for failures that a retry may get past: lost connections (refused credentials too, once running) and
 * `PassingError`.
 */
export function isPassing(error: unknown): boolean {
  return error instanceof PassingError || isMillraceError(error, 'BROKER_UNREACHABLE', 'AUTHENTICATION_FAILED')
}

/** The reason of a failure for a warning, without the advice of a thrown error. */
export function reasonOf(error: unknown): string {
  return isMillraceError(error) ? error.detail : toError(error).message
}

/** Repeats `attempt` until it succeeds, fails permanently, or the signal aborts (then rejects with its reason). */
export async function retrying<T>(
  reconnects: Reconnects,
  what: string,
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  for (;;) {
    signal.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (!isPassing(error)) throw error
      await reconnects.wait(what, reasonOf(error), signal)
    }
  }
}
