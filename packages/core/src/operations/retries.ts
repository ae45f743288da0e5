import type { DeadLetterSource, FirstFailure } from './dead-letters.ts'

/** Events of agents with `retry` that wait outside of their partitions for their next attempt. */
export interface Retries {
  /** What waits as of the last commits, by agent. Throws `AGENT_MISSING`. */
  list(listing?: RetryListing): Promise<readonly AgentRetries[]>
}

export interface RetryListing {
  /** Default: all agents that have waiting events, or have had them. */
  readonly agent?: string | undefined
  /** How many of the next events to list for each agent. Default 10. */
  readonly next?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** What waits for one agent. */
export interface AgentRetries {
  readonly agent: string
  /** Changelogs of the states in which its events wait, one for each topic or step that it reads. */
  readonly topics: readonly string[]
  /** All events that wait, those behind others too. */
  readonly events: number
  /** Those that are due next, the earliest first. */
  readonly next: readonly WaitingEventSummary[]
}

/** A waiting event for listings; texts of 1,000 characters at most. */
export interface WaitingEventSummary extends DeadLetterSource {
  /** As text or in base64; `null` if it has none. */
  readonly key: string | null
  /** When it is handed out again, in milliseconds since the epoch; in the past if no worker has taken it since. */
  readonly due: number
  /** Attempts that have failed. */
  readonly attempts: number
  /** Events of its key that wait behind it. */
  readonly behind: number
  /** The last failure; `undefined` for an event that has only waited for an earlier one of its key, and is next. */
  readonly failure: FirstFailure | undefined
}
