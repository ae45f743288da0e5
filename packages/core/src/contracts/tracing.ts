import type { RawHeaders } from './record.ts'

/**
 * Follows events, sends, jobs and requests, also from one worker to another. A `Sensor` that has it is called for each of
 * them; without it, none of this is called and nothing is allocated for it. All calls are synchronous and must not throw.
 */
export interface Tracing {
  /**
   * Called once by each app. `current` gives what follows the event in whose course its caller runs, also after the event is
   * over; `undefined` between events and outside agents.
   */
  attach(current: () => EventTrace | undefined): void
  /** An agent begins with an event. Each attempt is a beginning of its own. */
  eventStarted(event: TracedEvent): EventTrace
  /** A record is about to go out. Its headers are those that the trace gives. */
  sendStarted(send: TracedSend): SendTrace
  /** Runs a job, which is the beginning of something. Gives and throws what `work` does. */
  job<R>(job: TracedJob, work: () => R | Promise<R>): Promise<R>
  /** Answers a request: `work` is told how to say which page it is for, once that is known. */
  request(request: Request, work: (routed: (path: string) => void) => Promise<Response>): Promise<Response>
  /** Passes a request on to another worker, with these headers in place of those that the request has. */
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

/** What follows an event, until it has ended. */
export interface EventTrace {
  /** Somebody will see it: only then need anything be said of it. */
  readonly isRecording: boolean
  /** From now on `other` ends with this event, as one of its batch: gives what follows both. */
  join(other: EventTrace | undefined): EventTrace
  /** What it was to do has failed. */
  failed(error: Error): void
  /** What it has changed, with the number of rows of each. */
  changed(rows: ReadonlyMap<string, number>): void
  /** A second call does nothing. */
  end(as: EventEnd): void
}

/**
 * What has become of an event: finished; given up and skipped, or kept as a dead letter; a tombstone that its agent passes
 * over; to be tried again; deferred behind another event; or given back, which is nobody's failure.
 */
export type EventEnd =
  | 'processed'
  | 'skipped'
  | 'deadLettered'
  | 'tombstones'
  | 'leftToOthers'
  | 'retried'
  | 'deferred'
  | 'givenBack'

export interface TracedSend {
  readonly topic: string
  readonly isChannel?: boolean
  readonly partition?: number | undefined
  /** Those that the record has so far. */
  readonly headers: RawHeaders
  /** The agent whose answer is waited for. */
  readonly asks?: string
  /** In the course of which it is sent. Default: whatever the caller runs in. */
  readonly from?: EventTrace | undefined
}

/** What follows a send: until the broker has the record, until the answer has come, or no longer than the call in an event. */
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
