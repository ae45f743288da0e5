import type { CommitOffset, TopicPartition } from '../contracts/record.ts'
import type { PartitionPosition, TopicInfo, TopicSettings } from '../contracts/admin.ts'

/** One agent on one partition. */
export interface AgentLag {
  /** `undefined` for a topic that the group has read in a step of an unknown agent. */
  readonly agent: string | undefined
  readonly topic: string
  readonly partition: number
  /** The next offset that the agent would handle after a restart; `undefined` if it was never committed. */
  readonly committed: number | undefined
  readonly end: number
  /**
   * Records that are not handled yet, counting compacted ones; without a committed offset as `offsetReset` determines.
   */
  readonly lag: number
}

/**
 * The role of a topic in an app.
 *
 * `source`: agents read it. `inbox`: the agent's own topic, `{id}-{agent}`. `between`: agents read it and agents are
 * declared to write it. `output`: declared, and no agent reads it except perhaps after `through`. `lookalike`: named
 * like a repartition topic of the app without proof of being one, so perhaps another app's. The others are made by
 * Millrace for the purpose in their names.
 */
export type TopicRole =
  | 'source'
  | 'inbox'
  | 'between'
  | 'output'
  | 'repartition'
  | 'lookalike'
  | 'changelog'
  | 'global'
  | 'replies'
  | 'dead letters'
  | 'replays'
  | 'scheduler'
  | 'leader'
  | 'progress'

/** A topic of the broker that an app uses or has created. */
export interface AppTopic extends TopicInfo {
  readonly role: TopicRole
  /** The agent or table to which it belongs; `undefined` if it belongs to no single one. */
  readonly owner: string | undefined
  /** Created and named by Millrace rather than declared in the app file. */
  readonly internal: boolean
  /** `undefined` if this client may not see them. */
  readonly settings: TopicSettings | undefined
  /** Agents of the app whose events were seen to send to it, sorted. Sends in an agent's code are not declared. */
  readonly sentBy: readonly string[]
}

/** A range of one partition that all agents skip; their progress elsewhere is unchanged. */
export interface SkipPlan extends TopicPartition {
  readonly groupId: string
  readonly from: number
  /** The offset after the last one that is skipped. */
  readonly to: number
  /** Why it cannot be read; `undefined` for a readable record. */
  readonly reason: string | undefined
  /** The offset that the group commits. */
  readonly commit: CommitOffset
}

/** Options of a reset. */
export interface ResetRequest {
  /** Where input topics are read from: the beginning, the end, or the first record that is not older than a time. */
  readonly to: 'beginning' | 'end' | { readonly timestampMs: number }
  /** Topics that are filled from outside, by name or as `@` and the agent to which they belong. */
  readonly inputs: readonly string[]
  /** Topics that agents of the app write. */
  readonly intermediates: readonly string[]
  /** Delete dead letters and the ledger of their replays. */
  readonly deadLetters: boolean
}

export interface ResetPlan {
  /** The consumer group whose committed offsets are deleted. */
  readonly groupId: string
  /** Every topic of the app, including those that stay. */
  readonly topics: readonly ResetTopic[]
  /** Absolute path of the local store. */
  readonly storeDirectory: string | undefined
  /** Warnings for the person who confirms the plan, as sentences. */
  readonly warnings: readonly string[]
}

/**
 * What happens to one topic. `rewind`: it is read again, from `offsets` or otherwise from its beginning. `skip`: it
 * stays and is read on from `offsets`, its end. `ask`: it has records, and somebody must say whether they come from
 * outside (and are read again) or from agents (which write them again).
 */
export interface ResetTopic {
  readonly name: string
  readonly role: TopicRole
  readonly action: 'rewind' | 'skip' | 'delete' | 'keep' | 'ask'
  /** Number of records, counting compacted ones. */
  readonly records: number
  readonly offsets: readonly PartitionPosition[]
  /** Agents of the app whose events were seen to send to it. */
  readonly sentBy: readonly string[]
}

/** A topic that a worker would not find. */
export interface MissingTopic {
  readonly name: string
  /** Whether the worker creates it. */
  readonly created: boolean
  /** A command that creates the topic, as in the error `TOPIC_MISSING`. */
  readonly command: string
}
