import type { Codec, Tracing } from '@millrace/core'
import type { ContextStorage, WorkerContext } from '@millrace/worker'
import type { AgentHold } from './agent-hold.ts'
import type { HandlingTimes } from './handling-times.ts'
import type { RateLimit } from './rate-limit.ts'

/** How the events of an agent wait between attempts, outside of their partitions. */
export interface RetryPlan {
  readonly delaysMs: readonly number[]
  readonly order: 'key' | 'none'
}

/** One agent on one worker: what all its events share. */
export interface AgentContext {
  readonly agent: string
  readonly worker: WorkerContext
  /** The storage of the current event. */
  readonly storage: ContextStorage
  readonly counters: AgentCounters
  readonly times: HandlingTimes
  /** Whether it gets events on this worker. */
  readonly hold: AgentHold
  /** For each attempt at an event; `undefined`: any time. */
  readonly timeoutMs: number | undefined
  /** Of all its instances together; `undefined`: as fast as they go. */
  readonly rate: RateLimit | undefined
  /** Whether the agent takes records without a value from every topic. */
  readonly tombstones: boolean
  /** How its events wait between attempts; `undefined`: in place. */
  readonly retry: RetryPlan | undefined
  readonly replyCodec: Codec<unknown>
  readonly replyTopic: string
  /** Follows its events, if the app's sensor traces. */
  readonly tracing: Tracing | undefined
}

/** Counts of one agent on one worker since it started. */
export interface AgentCounts {
  /** Events handed to the agent, without retries. */
  readonly received: number
  /** Events finished, without skipped ones and tombstones. */
  readonly processed: number
  /** Attempts that failed. */
  readonly failed: number
  /** Attempts that were repeated after a failure. */
  readonly retried: number
  /** Events given up by `onError: 'skip'`. */
  readonly skipped: number
  /** Events given up and kept as dead letters. */
  readonly deadLettered: number
  /** Tombstones that were ignored. */
  readonly tombstones: number
  /** Records that were ignored because they were replayed for another agent. */
  readonly leftToOthers: number
  /** Events that arrived too late for a join. They count as processed, too. */
  readonly late: number
  /** Events that have left their partition after a failed attempt, to wait for the next one; each time counts. */
  readonly delayed: number
  /** Events that have left their partition to wait behind an earlier event of their key. */
  readonly queued: number
  /** Events in flight now. */
  readonly active: number
}

/** The count to which a finished event belongs. */
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
  delayed = 0
  queued = 0
  active = 0

  snapshot(): AgentCounts {
    const { received, processed, failed, retried, skipped, deadLettered, tombstones, leftToOthers } = this
    const { late, delayed, queued, active } = this
    const given = { received, processed, failed, retried, skipped, deadLettered, tombstones, leftToOthers }
    return { ...given, late, delayed, queued, active }
  }
}
