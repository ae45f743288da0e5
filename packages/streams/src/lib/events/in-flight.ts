import type { CodecSpec, EventEnd, EventTrace, RawRecord } from '@millrace/core'
import type { CurrentEvent, HandedOutEvent, SendReceipt, SendRequest } from '@millrace/worker'
import type { AgentContext } from './agent-context.ts'

/**
 * What is in flight under an event of a stream: a record of a topic, which the worker hands out and takes back, or a message
 * of a channel.
 */
export interface InFlight extends Pick<
  HandedOutEvent,
  | 'topic'
  | 'partition'
  | 'offset'
  | 'timestamp'
  | 'open'
  | 'signal'
  | 'attempts'
  | 'refused'
  | 'isDeferred'
  | 'isWanted'
  | 'deferIfOutdated'
  | 'describeReads'
  | 'changedRows'
  | 'hold'
  | 'finish'
  | 'rollback'
  | 'retry'
  | 'requeue'
  | 'handedOn'
> {
  readonly record: Pick<RawRecord, 'key' | 'value' | 'headers'>
  /** What `take()` must not mix. */
  readonly task: object
  /** As an effect of the event; from a channel, an acknowledged send to wait for. */
  send(request: SendRequest): SendReceipt | Promise<SendReceipt>
  join(other: InFlight): void
}

/** What the events of one source have in common for one agent. */
export interface StreamOrigin {
  readonly context: AgentContext
  /** How values are encoded; only the same spec may pass raw bytes on. `undefined` when there are no bytes, in channels. */
  readonly valueSpec: CodecSpec | undefined
  /** Events without a value are handed out. */
  readonly tombstones: boolean
  /** Throws when the key cannot be decoded. */
  keyOf(event: InFlight): unknown
  /** Throws when the value cannot be decoded. */
  valueOf(event: InFlight): unknown
  requestOf(event: InFlight): ReplyRequest | undefined
  /**
   * The agent need not handle it: it was replayed for another agent that reads the same topic, or is no longer due.
   * Throws `KEY_CONFLICT` while that cannot be known.
   */
  isPassedOver(event: InFlight, current: CurrentEvent | undefined): boolean
}

/** Somebody waits for a reply to an event. Each request gets one of the three calls. */
export interface ReplyRequest {
  /** The reply is an effect of the event: it goes out when the event finishes. */
  answer(value: unknown, event: InFlight): void
  /** The event finishes: without a reply, which is an error for the asker, unless it was answered. */
  close(event: InFlight, isAnswered: boolean): void
  /** The agent has failed for good: sent at once, whatever becomes of the event. */
  refuse(error: Error, trace: EventTrace | undefined): void | Promise<void>
}

/** What follows an event ends with it; one that is deferred, or was lost, has not come to the end that its agent gave it. */
export function endTrace(
  trace: EventTrace,
  event: { readonly open: boolean; readonly inFlight: InFlight },
  as: EventEnd,
): void {
  const { open, inFlight } = event
  const isFinished = as !== 'retried' && as !== 'givenBack'
  if (isFinished && (!open || inFlight.isDeferred)) return trace.end('deferred')
  if (isFinished && trace.isRecording) trace.changed(inFlight.changedRows())
  trace.end(as)
}
