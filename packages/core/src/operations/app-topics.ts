import type { CommitOffset, TopicPartition } from '../contracts/record.ts'
import type { PartitionPosition, TopicInfo, TopicSettings } from '../contracts/admin.ts'

/** One agent on one partition. */
export interface AgentLag {
  /** `undefined` for a topic that the group has read by a step whose agent is not known. */
  readonly agent: string | undefined
  readonly topic: string
  readonly partition: number
  /** Next offset that the agent would handle after a restart; `undefined` when nothing was ever committed. */
  readonly committed: number | undefined
  readonly end: number
  /** Records that are there and not handled, compacted ones counted; without a committed offset as the setting `offsetReset` counts. */
  readonly lag: number
}

/**
 * What a topic is to an app.
 *
 * `source`: agents read it. `inbox`: the topic of an agent's own, `{id}-{agent}`. `between`: agents read it and agents
 * are declared to write it. `output`: declared, and no agent reads it but perhaps behind `through`. `lookalike`: named as
 * a repartition topic of the app would be, and nothing says that it is one: it may be another app's. The others are made by
 * Millrace for what they are named after.
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

/** A topic of the broker that an app uses or has made. */
export interface AppTopic extends TopicInfo {
  readonly role: TopicRole
  /** The agent or table that it belongs to; `undefined` where it belongs to no single one. */
  readonly owner: string | undefined
  /** Created and named by Millrace rather than declared in the app file. */
  readonly internal: boolean
  /** `undefined` when this client may not see them. */
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
  /** Why it cannot be read; `undefined` for a record that can. */
  readonly reason: string | undefined
  /** The offset that the group commits. */
  readonly commit: CommitOffset
}

/** How to reset. */
export interface ResetRequest {
  /** Where input topics are read from: their first record, none of those there, or those that are not older than a time. */
  readonly to: 'beginning' | 'end' | { readonly timestampMs: number }
  /** Topics that are fed from outside, by name or as `@` and the agent whose own they are. */
  readonly inputs: readonly string[]
  /** Topics that agents of the app write. */
  readonly intermediates: readonly string[]
  /** Delete dead letters and the ledger of their replays. */
  readonly deadLetters: boolean
}

export interface ResetPlan {
  /** The consumer group whose committed offsets are deleted. */
  readonly groupId: string
  /** Every topic of the app, also those that stay. */
  readonly topics: readonly ResetTopic[]
  /** Absolute path of the local store. */
  readonly storeDirectory: string | undefined
  /** Warnings for whoever confirms the plan, as sentences. */
  readonly warnings: readonly string[]
}

/**
 * What becomes of one topic. `rewind`: it is read again, from `offsets` or, without any, from its beginning. `skip`: it
 * stays and is read on from `offsets`, its end. `ask`: it has records, and whether they come from outside (to be read
 * again) or from agents (which write them again) has to be said.
 */
export interface ResetTopic {
  readonly name: string
  readonly role: TopicRole
  readonly action: 'rewind' | 'skip' | 'delete' | 'keep' | 'ask'
  /** Number of records, compacted ones included. */
  readonly records: number
  readonly offsets: readonly PartitionPosition[]
  /** Agents of the app whose events were seen to send to it. */
  readonly sentBy: readonly string[]
}

/** A topic that a worker would not find. */
export interface MissingTopic {
  readonly name: string
  /** The worker creates it. */
  readonly created: boolean
  /** A command that creates the topic, as in the error `TOPIC_MISSING`. */
  readonly command: string
}
