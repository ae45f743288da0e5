import type { ErrorCode } from '../lib/errors/error-table.ts'
import type { RawHeaders, TopicPartition } from '../contracts/record.ts'

/**
 * The dead letters of an app, for whoever looks at them: the command line and the dashboard. Implemented in `streams`.
 * Calls may overlap, but of two replays at a time the one that began first is shut out (`PRODUCER_FENCED`).
 *
 * For every method: `AGENT_MISSING` when the app has no such agent; `TIMEOUT` when the broker gives nothing for 30 s;
 * the signal's reason when it aborts.
 */
export interface DeadLetters {
  /**
   * What there is, by agent: of one, or of all in the order declared. Reads the topics to their ends, from their beginnings or
   * the newest `most` letters.
   */
  list(options?: DeadLetterListing): Promise<readonly AgentDeadLetters[]>
  /** One whole letter, or the one that failed last; `undefined` when there is none. */
  show(
    agent: string,
    which: DeadLetterLocation | 'latest',
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<DeadLetter | undefined>
  /**
   * Sends letters back to where they came from, marked so that only this agent handles them, and remembers that, in one
   * transaction for a few hundred at a time: what was replayed once is passed over by later calls. Rejects with
   * `DEAD_LETTER_MISSING` when the one wanted does not exist, and with `DEAD_LETTER_FOREIGN` when it names a topic that the
   * agent does not read: of all letters such ones are refused.
   */
  replay(
    agent: string,
    which: DeadLetterLocation | 'all',
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<ReplayOutcome>
}

export interface DeadLetterListing {
  /** All agents when it is left out. */
  readonly agent?: string | undefined
  /** How many of the letters that failed last to tell for each agent. Default 10. */
  readonly newest?: number | undefined
  /** How many letters to read of each agent, the newest of every partition. Default all. */
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
  /** False when there are older letters, which were not read: `letters` and `waiting` are without them. */
  readonly complete: boolean
  /** The last to fail first; texts of 1,000 characters at most. */
  readonly newest: readonly DeadLetterSummary[]
}

/** A letter as listings show it. */
export interface DeadLetterSummary extends DeadLetterLocation {
  /** Where the record was when the agent failed on it; `undefined` when the letter does not say, being none of Millrace's. */
  readonly source: DeadLetterSource | undefined
  readonly failure: DeadLetterFailure
  /** Milliseconds since the epoch; `undefined` when the letter does not say. */
  readonly failedAt: number | undefined
  readonly replayed: boolean
}

export interface DeadLetterSource extends TopicPartition {
  readonly offset: number
  /** Of the record, milliseconds since the epoch. */
  readonly timestamp: number
}

export interface DeadLetterFailure {
  /** Of the error; empty where it had none. */
  readonly code: string
  /** Name of the error's class. */
  readonly class: string
  readonly message: string
  /** How often the agent tried. */
  readonly attempts: number
}

/** A whole letter. */
export interface DeadLetter extends DeadLetterSummary {
  readonly agent: string
  readonly topic: string
  readonly stack: string
  readonly key: ShownBytes
  readonly value: ShownBytes
  /** The record's own ones. */
  readonly headers: RawHeaders
}

/** Bytes as well as they can be shown. */
export interface ShownBytes {
  /** The codec that read them; `text`, `base64` or `hex` where none could, `none` where there are no bytes. */
  readonly as: string
  readonly value: unknown
}

export interface ReplayOutcome {
  readonly replayed: number
  /** Passed over because they had been replayed before. */
  readonly before: number
  /** Those that cannot be sent back. They stay as they are. */
  readonly refused: { readonly count: number; readonly first: readonly RefusedReplay[] }
}

export interface RefusedReplay extends DeadLetterLocation {
  /** Where there is an error for it. */
  readonly code?: ErrorCode
  readonly reason: string
}
