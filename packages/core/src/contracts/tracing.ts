import type { RawHeaders } from './record.ts'

/**
 * Follows events, sends, jobs and requests, even from one worker to another. A `Sensor` that has it is called for each
 * of them; without it nothing of this is called or allocated. All calls are synchronous and must not throw.
 */
export interface Tracing {
  /**
   * Called once by each app. `current` returns the trace of the event in whose context its caller runs, even after the
   * event is over; `undefined` between events and outside agents.
   */
  attach(current: () => EventTrace | undefined): void
  /** An agent begins an attempt at an event. Each attempt has its own trace. */
  eventStarted(event: TracedEvent): EventTrace
  /** A record is about to be sent, with the headers that the trace returns. */
  sendStarted(send: TracedSend): SendTrace
  /** Runs a job, as the root of a trace. Returns or throws what `work` does. */
  job<R>(job: TracedJob, work: () => R | Promise<R>): Promise<R>
  /** Answers a request. `work` receives a function that reports the page, once that is known. */
  request(request: Request, work: (routed: (path: string) => void) => Promise<Response>): Promise<Response>
  /** Forwards a request to another worker, with these headers in place of the request's own. */
  forward<R extends { readonly status: number }>(
    forwardedBy: TracedForward,
    work: (headers: Readonly<Record<string, string>>) => Promise<R>,
  ): Promise<R>
}

/** A record of a topic, or a message of a channel. */
export interface TracedEvent {
  readonly topic: string
  readonly isChannel: boolean
  readonly partition: number
  readonly offset: number
  readonly headers: RawHeaders
  readonly agent: string
  /** Id of the worker. */
  readonly worker: string
  /** The app, which is the consumer group. */
  readonly app: string
  /** How often it failed before. */
  readonly attempts: number
}

/** The trace of an event, until the event has ended. */
export interface EventTrace {
  /** Whether the trace is recorded; otherwise nothing needs to be reported. */
  readonly isRecording: boolean
  /** Notes that `other` ends with this event, as one of its batch. Returns the trace of both. */
  join(other: EventTrace | undefined): EventTrace
  /** The attempt has failed. */
  failed(error: Error): void
  /** The tables that it has changed, with the number of rows of each. */
  changed(rows: ReadonlyMap<string, number>): void
  /** A second call has no effect. */
  end(as: EventEnd): void
}

/**
 * How an event ended: finished; given up and skipped, or kept as a dead letter; a tombstone that its agent ignores; to
 * be retried in place, or after a wait outside of its partition (`delayed`); deferred behind another event, or waiting
 * for it outside of its partition (`queued`); or given back, without any failure.
 */
export type EventEnd =
  | 'processed'
  | 'skipped'
  | 'deadLettered'
  | 'tombstones'
  | 'leftToOthers'
  | 'retried'
  | 'delayed'
  | 'queued'
  | 'deferred'
  | 'givenBack'

export interface TracedSend {
  readonly topic: string
  readonly isChannel?: boolean
  readonly partition?: number | undefined
  /** The headers that the record has so far. */
  readonly headers: RawHeaders
  /** The agent whose answer is awaited. */
  readonly asks?: string
  /** The event in whose context it is sent. Default: the caller's context. */
  readonly from?: EventTrace | undefined
}

/**
 * The trace of a send, until the broker has the record, or the answer has come, but within an event no longer than the
 * call.
 */
export interface SendTrace {
  readonly headers: RawHeaders
  end(error?: unknown): void
}

export interface TracedJob {
  readonly name: string
  readonly kind: string
  readonly slot: Date
  readonly app: string
  /** Id of the worker. */
  readonly worker: string
}

export interface TracedForward {
  readonly method: string
  /** Host and port of the other worker's site. */
  readonly address: string
}
