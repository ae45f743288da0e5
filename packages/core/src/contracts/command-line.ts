import type { AppDescription } from './app-description.ts'
import type { DeadLetters, ShownBytes } from './dead-letters.ts'
import type { Logger } from './logger.ts'
import type { RawHeaders, RecordMetadata, TopicPartition } from './record.ts'
import type { CommitOffset, MemberInfo, PartitionPosition, TopicInfo, TopicSettings } from './transport.ts'

/**
 * Under this key an app offers itself to the command line. Text rather than a symbol, so that an app is recognised also
 * when another copy of this package made it, and so that a class can declare it where declarations stand alone.
 */
export const commandLine = 'millrace.command-line' as const

/** What the loader looks for among the exports of an app file. */
export interface HasCommandLine {
  readonly [commandLine]: CommandLineApp
}

/**
 * What the command line needs of an app. Implemented in `app`, called by `cli`; one command a process, so `configure` is
 * called once, before anything else but `describe`.
 */
export interface CommandLineApp {
  /** Of this contract. The command line refuses an app with a version that it does not know. */
  readonly version: 1
  readonly id: string
  /** What the app consists of. Reads definitions only: needs no broker and starts nothing. After `configure`: with its options. */
  describe(): AppDescription
  /** Tasks, timers and cron jobs, with what their definitions say about the next run. Needs no broker. */
  jobs(): readonly JobDescription[]
  /** What of this machine a worker would use. Needs no broker. */
  place(): RunningPlace
  /** Stores on this machine that were written by another version of Millrace and are of no use to this one. */
  otherStores(): Promise<readonly OtherStore[]>
  /** Deletes one of them. No worker of that version may run on it. */
  removeOtherStore(store: OtherStore): Promise<void>
  /**
   * Takes options of the command line before anything starts. Throws `SETTING_INVALID` for a bad value, naming the option.
   *
   * @param options settings by their names (`commitInterval`, `web.port`), as text, read as environment variables are
   */
  configure(options: Readonly<Record<string, string>>, runtime: CommandLineRuntime): void
  /** Starts a worker. Resolves when it has joined and recovered; rejects with what made that impossible. */
  start(): Promise<void>
  /** The worker, from the synchronous part of `start` on; `undefined` before. */
  worker(): WorkerDescription | undefined
  /** Drains and stops; with `hard` whatever is in hand is given up. May be called twice, and before `start` has resolved. */
  stop(options?: { readonly hard?: boolean }): Promise<void>
  /** Settles when the worker has ended: resolves after `stop`, rejects with the fatal error. Asked for after `start` was called. */
  finished(): Promise<void>
  /** A connection to the broker that joins no group. `BROKER_UNREACHABLE` after the connect time-out. */
  client(): Promise<CommandLineClient>
}

export interface CommandLineRuntime {
  readonly log: Logger
  /** Absolute path of the app file: relative places of the embedded broker and of stores belong to its package. */
  readonly appFile: string | undefined
}

export interface WorkerDescription {
  readonly id: string
  /** How many tasks it has; 0 before it has joined. */
  readonly tasks: number
  /** Of its site, for a person at this machine; `undefined` where it serves none, and before it does. */
  readonly url: string | undefined
}

/** A task, timer or cron job as its definition has it; what ran only a worker knows. */
export interface JobDescription {
  readonly name: string
  readonly kind: 'task' | 'timer' | 'cron'
  /** `'10s'`, `'0 20 * * *'`; empty for tasks. */
  readonly schedule: string
  /** Cron jobs only. */
  readonly timezone: string | undefined
  readonly onLeader: boolean
  /** The next slot in Unix milliseconds, for cron jobs that have one. Tasks and timers count from the start of a worker. */
  readonly nextRunMs: number | undefined
}

/** What of this machine a worker uses. */
export interface RunningPlace {
  readonly web: { readonly enabled: boolean; readonly host: string; readonly port: number }
  /** Absolute path under which a directory of the app is made when nothing else is said. It may be missing. */
  readonly dataDirectory: string
  /** Absolute paths of what the app keeps on disk; `undefined` where that is in memory, on Kafka, or made by the app. */
  readonly logDirectory: string | undefined
  readonly storeDirectory: string | undefined
}

/** A store of another format version. Its rows are all in the changelogs. */
export interface OtherStore {
  /** Absolute path. */
  readonly directory: string
  readonly format: number
}

/** Broker access for commands. Calls may overlap; all but `close` throw `CLOSED` after `close`. */
export interface CommandLineClient {
  /**
   * Sends text, encoded as the target declares: a string as it is, a number parsed, anything else as JSON; a topic that
   * the app does not declare gets the text's bytes. Resolves when the broker has it. `TOPIC_MISSING`, `SCHEMA_MISMATCH`, `ENCODE_FAILED`.
   *
   * @param target name of a topic, or `@` and the name of an agent
   */
  send(target: string, message: CommandLineMessage): Promise<RecordMetadata>
  /** Topics that the broker has. */
  topics(): Promise<readonly TopicInfo[]>
  /** Those of them that the app uses or has made, sorted by name. */
  appTopics(): Promise<readonly AppTopic[]>
  /** How many brokers are up; 1 for a log of one machine. */
  brokers(): Promise<number>
  /**
   * A key's committed value, read from the changelog (a global table's topic) to its end. `KEY_INVALID` when the text is
   * no key of the table, `COMMAND_USAGE` when the app has no such table.
   */
  readTable(table: string, key: string): Promise<TableReading>
  /** Committed rows in no particular order, at most `limit`. */
  readRows(table: string, options: { readonly limit: number }): Promise<TableRows>
  /**
   * Committed records of a topic, decoded as the app declares it, of each partition in order; joins no group. With
   * `follow` it waits for further ones until the signal aborts, and then throws its reason. Partitions that the topic gets
   * later are not read. `TOPIC_MISSING`, `PARTITION_MISSING`, `KEY_INVALID`; `TIMEOUT` when there is more to read and
   * nothing comes for 30 s.
   */
  records(topic: string, request: RecordsRequest): AsyncIterable<ShownRecord>
  /**
   * How far each agent is behind, for each partition of the topics that it reads and that exist, those of its steps too;
   * sorted by these.
   */
  lag(): Promise<readonly AgentLag[]>
  /** Members of the app's consumer group: its workers. */
  members(): Promise<readonly MemberInfo[]>
  /** What `reset` would do, topic by topic. `COMMAND_USAGE` for a name that is no input topic of the app. */
  resetPlan(request: ResetRequest): Promise<ResetPlan>
  /**
   * Does what the plan says. No worker of the app may run: `GROUP_NOT_EMPTY`, `STORE_IN_USE`; no topic may be undecided:
   * `COMMAND_USAGE`. Nothing has been changed then. `RESET_UNFINISHED` when it failed on the way: to be run again.
   */
  reset(plan: ResetPlan): Promise<void>
  /**
   * What `skip` would do about the record at an offset, or the whole batch that it is in when that cannot be read.
   * `SKIP_REFUSED` with the reason when there is nothing to skip there; `COMMAND_USAGE` for a topic that agents do not read.
   */
  skipPlan(record: PartitionPosition): Promise<SkipPlan>
  /** Does what the plan says. No worker of the app may run: `GROUP_NOT_EMPTY`. */
  skip(plan: SkipPlan): Promise<void>
  /** Events that agents have given up. */
  readonly deadLetters: DeadLetters
  /** Runs `work` where topics send and agents are asked through this client. */
  run(work: () => Promise<void>): Promise<void>
  /** Waits for sends under way, at most 5 s. */
  close(): Promise<void>
}

export interface CommandLineMessage {
  readonly key: string | undefined
  /** `null` is a tombstone. */
  readonly value: string | null
  readonly headers: Readonly<Record<string, string>>
  readonly partition: number | undefined
}

export interface TableReading {
  readonly found: boolean
  /** Decoded; `undefined` when not found. */
  readonly value: unknown
  readonly partition: number
}

export interface TableRows {
  readonly rows: readonly { readonly key: unknown; readonly value: unknown; readonly partition: number }[]
  /** There are more rows than the limit. */
  readonly more: boolean
}

/** Which records of a topic to read. */
export interface RecordsRequest {
  /**
   * Where each partition is read from. An offset that a partition does not have is taken for its beginning or end;
   * `last` counts offsets before the end, of which compaction and transactions may have left fewer records.
   */
  readonly from:
    | 'beginning'
    | 'end'
    | { readonly timestampMs: number }
    | { readonly offset: number }
    | { readonly last: number }
  /** Go on at the ends that the partitions have now. */
  readonly follow: boolean
  /** Only those with this key, typed as text. */
  readonly key?: string | undefined
  /** Only of this partition. */
  readonly partition?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A record as it can be shown. */
export interface ShownRecord extends TopicPartition {
  readonly offset: number
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  readonly key: ShownBytes
  readonly value: ShownBytes
  readonly headers: RawHeaders
}

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

/** A topic of the broker that an app uses or has made. */
export interface AppTopic extends TopicInfo {
  readonly role: TopicRole
  /** The agent or table that it belongs to; `undefined` where it belongs to no single one. */
  readonly owner: string | undefined
  /** Made and named by Millrace, not in the app file. */
  readonly internal: boolean
  /** `undefined` when this client may not see them. */
  readonly settings: TopicSettings | undefined
}

/** A stretch of one partition that all agents have behind themselves afterwards, each otherwise where it was. */
export interface SkipPlan extends TopicPartition {
  readonly groupId: string
  readonly from: number
  /** Behind the last offset that is skipped. */
  readonly to: number
  /** Why it cannot be read; `undefined` for a record that can. */
  readonly reason: string | undefined
  /** What the group commits. */
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
  /** Delete dead letters, and what is known of their replays. */
  readonly deadLetters: boolean
}

export interface ResetPlan {
  /** Whose committed offsets go. */
  readonly groupId: string
  /** Every topic of the app, also those that stay. */
  readonly topics: readonly ResetTopic[]
  /** Absolute path of the local store. */
  readonly storeDirectory: string | undefined
  /** What to know before agreeing, as sentences. */
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
  /** How many are there, compacted ones counted. */
  readonly records: number
  readonly offsets: readonly PartitionPosition[]
}
