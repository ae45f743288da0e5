import type { Codec, Tracing } from '@millrace/core'
import type { ContextStorage, WorkerContext } from '@millrace/worker'
import type { HandlingTimes } from './handling-times.ts'

/** One agent on one worker: what all its events have in common. */
export interface AgentContext {
  readonly agent: string
  readonly worker: WorkerContext
  /** Where the current event is kept. */
  readonly storage: ContextStorage
  readonly counters: AgentCounters
  readonly times: HandlingTimes
  /** The agent takes records without a value from every topic. */
  readonly tombstones: boolean
  readonly replyCodec: Codec<unknown>
  readonly replyTopic: string
  /** Follows its events, where somebody asks for that. */
  readonly tracing: Tracing | undefined
}

/** What one agent has done on one worker since it started. */
export interface AgentCounts {
  /** Events handed to the agent, retries not counted again. */
  readonly received: number
  /** Events finished, skipped ones and tombstones not counted. */
  readonly processed: number
  /** Attempts that failed. */
  readonly failed: number
  /** Attempts made again after a failure. */
  readonly retried: number
  /** Events given up by `onError: 'skip'`. */
  readonly skipped: number
  /** Events given up and kept as dead letters. */
  readonly deadLettered: number
  /** Tombstones passed over. */
  readonly tombstones: number
  /** Records passed over because they were replayed for another agent. */
  readonly leftToOthers: number
  /** Events that came too late for a join. They are processed, too. */
  readonly late: number
  /** Events in flight now. */
  readonly active: number
}

/** What an event that is over counts as. */
export type FinishedAs = Exclude<keyof AgentCounts, 'received' | 'failed' | 'retried' | 'late' | 'active'>

/** The counts while they are being made. */
export class AgentCounters implements AgentCounts {
  received = 0
  processed = 0
  failed = 0
  retried = 0
  skipped = 0
  deadLettered = 0
  tombstones = 0
  leftToOthers = 0
  late = 0
  active = 0

  snapshot(): AgentCounts {
    const { received, processed, failed, retried, skipped, deadLettered, tombstones, leftToOthers, late, active } = this
    return { received, processed, failed, retried, skipped, deadLettered, tombstones, leftToOthers, late, active }
  }
}
