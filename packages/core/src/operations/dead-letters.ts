import type { ErrorCode } from '../lib/errors/error-table.ts'
import type { RawHeaders, TopicPartition } from '../contracts/record.ts'

/**
 * The dead letters of an app, for the command line and the dashboard. Implemented in `streams`. Calls may overlap, but
 * of two concurrent replays the first one is fenced (`PRODUCER_FENCED`).
 *
 * For every method: `AGENT_MISSING` if the app has no such agent; `TIMEOUT` if the broker sends nothing for 30 s; the
 * signal's reason if it aborts.
 */
export interface DeadLetters {
  /**
   * The dead letters of one agent, or of all in the order declared. Reads the topics to their ends, from their
   * beginnings or from the newest `most` letters.
   */
  list(options?: DeadLetterListing): Promise<readonly AgentDeadLetters[]>
  /** One whole letter, or the last one to fail; `undefined` if there is none. */
  show(
    agent: string,
    which: DeadLetterLocation | 'latest',
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<DeadLetter | undefined>
  /**
   * Sends letters back to their source topics, and what was due in a state to its agent, marked so that only this agent handles them, and records that in the
   * same transaction, a few hundred at a time: later calls skip replayed letters. Rejects with `DEAD_LETTER_MISSING` if
   * the requested letter does not exist, with `DEAD_LETTER_FOREIGN` if it names a topic that the agent does not read, and with
   * `DEAD_LETTER_UNREAD` if it was due in a state whose events the agent does not read; a replay of all letters lists such
   * letters as refused.
   */
  replay(
    agent: string,
    which: DeadLetterLocation | 'all',
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<ReplayOutcome>
}

export interface DeadLetterListing {
  /** All agents if left out. */
  readonly agent?: string | undefined
  /** How many of the last letters to list for each agent. Default 10. */
  readonly newest?: number | undefined
  /** How many letters of each agent to read, the newest of every partition. Default all. */
  readonly most?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Where a letter is in the dead letter topic of its agent. */
export interface DeadLetterLocation {
  readonly partition: number
  readonly offset: number
}

export interface AgentDeadLetters {
  readonly agent: string
  /** `{app id}-{agent}-dlq`, whether it exists or not. */
  readonly topic: string
  /** Number of letters that were read in the topic. */
  readonly letters: number
  /** Number of these letters that were not replayed. */
  readonly waiting: number
  /** False if there are older letters, which were not read and are not counted in `letters` and `waiting`. */
  readonly complete: boolean
  /** The last to fail first; texts of 1,000 characters at most. */
  readonly newest: readonly DeadLetterSummary[]
}

/** A letter for listings. */
export interface DeadLetterSummary extends DeadLetterLocation {
  /**
   * Where the record was when the agent failed on it; `undefined` if it came from no topic (`due`), or if the letter does
   * not say, because Millrace did not write it.
   */
  readonly source: DeadLetterSource | undefined
  /** The event, if it came from no topic but was due in a state: a window that closed, a timer. */
  readonly due: DeadLetterDue | undefined
  readonly failure: DeadLetterFailure
  /** Milliseconds since the epoch; `undefined` if the letter does not say. */
  readonly failedAt: number | undefined
  readonly replayed: boolean
}

export interface DeadLetterSource extends TopicPartition {
  readonly offset: number
  /** The record's timestamp, in milliseconds since the epoch. */
  readonly timestamp: number
}

/** An event that was due in a state. */
export interface DeadLetterDue {
  /**
   * `window`: a window that closed; `timer`: a timer; `unmatched`: events of a join that have met none; `suppressed`: values
   * that `suppress` or `emit` had held back.
   */
  readonly kind: string
  /** Name of the state: the windowed table, the timers, the join. */
  readonly state: string
  /** Partition of the state. */
  readonly partition: number
  /** The key as text, or in base64. */
  readonly key: string
  /** When it was due, in milliseconds since the epoch; of a window, its last moment. */
  readonly at: number
  /** Start and end of the window, in milliseconds since the epoch. */
  readonly window?: { readonly start: number; readonly end: number }
  /** Name of the timer. */
  readonly timer?: string
}

export interface DeadLetterFailure {
  /** Code of the error; empty if it had none. */
  readonly code: string
  /** Name of the error's class. */
  readonly class: string
  readonly message: string
  /** How often the agent tried. */
  readonly attempts: number
  /** The first failure of an event that has waited between its attempts; the rest is of the last one. */
  readonly first?: FirstFailure
}

/** The first of several failures. */
export interface FirstFailure {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly code: string
  readonly class: string
  readonly message: string
}

/** A whole letter. */
export interface DeadLetter extends DeadLetterSummary {
  readonly agent: string
  readonly topic: string
  readonly stack: string
  readonly key: ShownBytes
  readonly value: ShownBytes
  /** The record's own headers. */
  readonly headers: RawHeaders
}

/** Bytes in the most readable form. */
export interface ShownBytes {
  /** The codec that decoded them; `text`, `base64` or `hex` if none could, `none` if there are no bytes. */
  readonly as: string
  readonly value: unknown
}

export interface ReplayOutcome {
  readonly replayed: number
  /** How many were skipped because they had been replayed before. */
  readonly before: number
  /** Letters that cannot be sent back. They are unchanged. */
  readonly refused: { readonly count: number; readonly first: readonly RefusedReplay[] }
}

export interface RefusedReplay extends DeadLetterLocation {
  /** Present if an error stands for the reason. */
  readonly code?: ErrorCode
  readonly reason: string
}
