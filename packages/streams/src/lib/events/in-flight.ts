import type { CodecSpec, EventEnd, EventTrace, RawRecord } from '@millrace/core'
import type { CurrentEvent, HandedOutEvent, SendReceipt, SendRequest } from '@millrace/worker'
import type { AgentContext, FinishedAs } from './agent-context.ts'

/**
 * The unit in flight under an event of a stream: a record of a topic, which the worker hands out and takes back, or a
 * message of a channel.
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
  /** The task, of which `take()` must not mix events. */
  readonly task: object
  /** As an effect of the event; for a channel, an acknowledged send to wait for. */
  send(request: SendRequest): SendReceipt | Promise<SendReceipt>
  join(other: InFlight): void
}

/** The state in which events were due. */
export interface DueIn {
  /** Its name. */
  readonly state: string
  /** As `DueSource.kind`. */
  readonly kind: string
}

/** What the events of one source share for one agent. */
export interface StreamOrigin {
  readonly context: AgentContext
  /**
   * How values are encoded; only the same spec may pass raw bytes on. `undefined` for channels, which have no bytes.
   */
  readonly valueSpec: CodecSpec | undefined
  /** Whether events without a value are handed out. */
  readonly tombstones: boolean
  /** Of events that come from no topic, but were due in a state. */
  readonly due?: DueIn
  /** Throws when the key cannot be decoded. */
  keyOf(event: InFlight): unknown
  /** Throws when the value cannot be decoded. */
  valueOf(event: InFlight): unknown
  requestOf(event: InFlight): ReplyRequest | undefined
  /** Where the events wait between attempts; `undefined` if all attempts are made in place. */
  readonly retries?: WaitingPlace | undefined
  /**
   * The end of an event that the agent does not get now: it was replayed for another agent that reads the same topic, is
   * no longer due, or waits behind an earlier event of its key. Otherwise `undefined`. Throws `KEY_CONFLICT` while that
   * is unknown.
   */
  passOver(event: InFlight, current: CurrentEvent | undefined): FinishedAs | undefined
}

/** Where events wait between attempts, outside of their partitions. */
export interface WaitingPlace {
  /** The event, which has failed, waits there, as its only effect. Throws `ROW_TOO_LARGE`, `KEY_CONFLICT`. */
  leave(event: CurrentEvent, wait: FailedWait): void
}

/** A failed attempt, after which the event waits. */
export interface FailedWait {
  /** When it is due, in milliseconds since the epoch. */
  readonly at: number
  /** Attempts so far, this one included. */
  readonly attempts: number
  readonly failure: WaitingFailure
}

/** One failure of an event. */
export interface WaitingFailure {
  /** In milliseconds since the epoch. */
  readonly at: number
  readonly code: string
  readonly class: string
  readonly message: string
}

/** A request whose asker waits for a reply to an event. Each request gets one of the three calls. */
export interface ReplyRequest {
  /** The reply is an effect of the event: it is sent when the event finishes. */
  answer(value: unknown, event: InFlight): void
  /** The event finishes. If it was not answered, that is an error for the asker. */
  close(event: InFlight, isAnswered: boolean): void
  /** The agent has failed permanently: sent at once, whatever happens to the event. */
  refuse(error: Error, trace: EventTrace | undefined): void | Promise<void>
}

/** Ends the trace of an event. A deferred or lost event has not had the end that its agent gave it. */
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
