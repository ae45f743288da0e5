import type { AgentLag, AppTopic, MissingTopic, ResetPlan, ResetRequest, SkipPlan } from './app-topics.ts'
import type { AppDescription } from './app-description.ts'
import type { DeadLetters, ShownBytes } from './dead-letters.ts'
import type { Retries } from './retries.ts'
import type { SchemaAdmin } from '../contracts/schema-admin.ts'
import type { LocalData } from './local-data.ts'
import type { SiblingProcesses } from './sibling-processes.ts'
import type { Logger } from '../contracts/logger.ts'
import type { RawHeaders, RecordMetadata, TopicPartition } from '../contracts/record.ts'
import type { SiteTls } from '../contracts/web-driver.ts'
import type { MemberInfo, PartitionPosition, TopicInfo } from '../contracts/admin.ts'

/**
 * The key under which an app offers itself to the command line. A text rather than a symbol, so that an app made by
 * another copy of this package is recognized, and so that a class can declare it with isolated declarations.
 */
export const commandLine = 'millrace.command-line' as const

/** What the loader looks for among the exports of an app file. */
export interface HasCommandLine {
  readonly [commandLine]: CommandLineApp
}

/**
 * What the command line needs from an app. Implemented in `app`, called by `cli`. A process runs one command, so
 * `configure` is called once, before anything else but `describe`.
 */
export interface CommandLineApp {
  /** The version of this contract. The command line refuses an app with an unknown version. */
  readonly version: 1
  readonly id: string
  /**
   * The contents of the app. Reads definitions only: needs no broker and starts nothing. After `configure` it reflects
   * the options.
   */
  describe(): AppDescription
  /** Tasks, timers and cron jobs, with their next run as far as definitions determine it. Needs no broker. */
  jobs(): readonly JobDescription[]
  /** The ports and directories of this machine that a worker would use. Needs no broker. */
  place(): RunningEnvironment
  /** Stores on this machine that another version of Millrace wrote and this one cannot use. */
  otherStores(): Promise<readonly OtherStore[]>
  /** Deletes such a store. No worker of that version may be using it. */
  removeOtherStore(store: OtherStore): Promise<void>
  /** The schema registries of its codecs. Reads definitions only. Missing in apps of earlier versions. */
  readonly schemas?: (() => readonly SchemaAdmin[]) | undefined
  /** The app's data on this machine. Missing in apps of earlier versions. */
  readonly data?: LocalData | undefined
  /**
   * Applies options of the command line before anything starts. Throws `SETTING_INVALID` for a bad value, naming the
   * option.
   *
   * @param options settings by their names (`commitInterval`, `web.port`), as text, read as environment variables are
   */
  configure(options: Readonly<Record<string, string>>, runtime: CommandLineRuntime): void
  /** Starts a worker. Resolves when it has joined and recovered; rejects with the error that prevented that. */
  start(): Promise<void>
  /** The worker, from the synchronous part of `start` on; `undefined` before. */
  worker(): WorkerDescription | undefined
  /** Drains and stops; with `hard` events in flight are dropped. May be called twice, and before `start` has resolved. */
  stop(options?: { readonly hard?: boolean }): Promise<void>
  /** Resolves after `stop`; rejects with the fatal error that ended the worker. Read after `start` was called. */
  finished(): Promise<void>
  /** A connection to the broker that joins no group. `BROKER_UNREACHABLE` after the connect time-out. */
  client(): Promise<CommandLineClient>
}

export interface CommandLineRuntime {
  readonly log: Logger
  /** Absolute path of the app file: relative paths of the embedded broker and of stores start from its package. */
  readonly appFile: string | undefined
  /** If this process is one of several that the worker command runs. */
  readonly siblings?: SiblingProcesses | undefined
}

export interface WorkerDescription {
  readonly id: string
  /** Number of tasks of the worker; 0 before it has joined. */
  readonly tasks: number
  /** URL of the worker's site on this machine; `undefined` while the worker serves none. */
  readonly url: string | undefined
}

/** The definition of a task, timer or cron job, without its runs, which only a worker knows. */
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

/** The ports and directories of this machine that a worker uses. */
export interface RunningEnvironment {
  readonly web: {
    readonly enabled: boolean
    readonly host: string
    readonly port: number
    /** Default http. */
    readonly scheme?: 'http' | 'https'
    /** The address of the built-in pages; left out if they are at `port`. */
    readonly admin?: { readonly host: string; readonly port: number } | undefined
    /** The certificate and key for https; never shown. Left out by apps of earlier versions. */
    readonly tls?: SiteTls | undefined
    /** The token that pages require; never shown. Left out by apps of earlier versions. */
    readonly token?: string | undefined
  }
  /** Absolute path of the default parent of the app's directories. It may not exist yet. */
  readonly dataDirectory: string
  /**
   * Absolute paths of the app's data on disk; `undefined` if the data is in memory or on Kafka, or the app manages it.
   */
  readonly logDirectory: string | undefined
  readonly storeDirectory: string | undefined
  /** How many processes the worker command runs, and how long they may take to stop. Missing in apps of earlier versions. */
  readonly processes?: { readonly count: number | 'auto'; readonly shutdownTimeoutMs: number }
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
   * the app does not declare gets the text's bytes. Resolves when the broker has it. `TOPIC_MISSING`,
   * `SCHEMA_MISMATCH`, `ENCODE_FAILED`.
   *
   * @param target name of a topic, or `@` and the name of an agent
   */
  send(target: string, message: CommandLineMessage): Promise<RecordMetadata>
  /** Topics that the broker has. */
  topics(): Promise<readonly TopicInfo[]>
  /** The broker's topics that the app uses or has created, sorted by name. */
  appTopics(): Promise<readonly AppTopic[]>
  /**
   * Topics that a worker would not find, as far as they are declared: the topics of `groupBy` are known only once the
   * handler runs. Left out by apps of earlier versions. `NOT_COPARTITIONED` if a worker could not start either.
   */
  missingTopics?(): Promise<readonly MissingTopic[]>
  /** How many brokers are up; 1 for a log of one machine. */
  brokers(): Promise<number>
  /**
   * A key's committed value, read from the changelog (a global table's topic) to its end. `KEY_INVALID` if the text is
   * not a key of the table, `COMMAND_USAGE` if the app has no such table. Of a windowed table: its windows, or those asked for.
   */
  readTable(table: string, key: string, windows?: WindowsRequest): Promise<TableReading>
  /**
   * Committed rows, at most `limit`: in no particular order, or with a range of keys in theirs. `RANGE_UNORDERED` for a range
   * of keys that are no text.
   */
  readRows(table: string, options: RowsRequest): Promise<TableRows>
  /**
   * Committed records of a topic, decoded as the app declares it, each partition in order; joins no group. With
   * `follow` it waits for further ones until the signal aborts, and then throws its reason. Partitions that are added
   * later are not read. `TOPIC_MISSING`, `PARTITION_MISSING`, `KEY_INVALID`; `TIMEOUT` if there is more to read and
   * nothing arrives for 30 s.
   */
  records(topic: string, request: RecordsRequest): AsyncIterable<ShownRecord>
  /**
   * The lag of each agent, including its steps, for each partition of the existing topics that it reads; sorted in that
   * order.
   */
  lag(): Promise<readonly AgentLag[]>
  /** Members of the app's consumer group: its workers. */
  members(): Promise<readonly MemberInfo[]>
  /** What `reset` would do, topic by topic. `COMMAND_USAGE` for a name that is not an input topic of the app. */
  resetPlan(request: ResetRequest): Promise<ResetPlan>
  /**
   * Carries out the plan. No worker of the app may run: `GROUP_NOT_EMPTY`, `STORE_IN_USE`; no topic may be undecided:
   * `COMMAND_USAGE`. Nothing has been changed then. `RESET_UNFINISHED` if it failed half-way and must be run again.
   */
  reset(plan: ResetPlan): Promise<void>
  /**
   * What `skip` would do about the record at an offset, or about the whole batch if that is unreadable. `SKIP_REFUSED`
   * with the reason if nothing there can be skipped; `COMMAND_USAGE` for a topic that agents do not read.
   */
  skipPlan(record: PartitionPosition): Promise<SkipPlan>
  /** Carries out the plan. No worker of the app may run: `GROUP_NOT_EMPTY`. */
  skip(plan: SkipPlan): Promise<void>
  /** Events that agents have given up. */
  readonly deadLetters: DeadLetters
  /** Events that wait for their next attempt. */
  readonly retries: Retries
  /** Runs `work` so that topics send and agents are asked through this client. */
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
  /** The decoded value; `undefined` if the key was not found. */
  readonly value: unknown
  readonly partition: number
}

/** Which windows of a key to read: that of a time, or those of a range. In milliseconds since the epoch. */
export interface WindowsRequest {
  readonly at?: number | undefined
  /** Included. */
  readonly from?: number | undefined
  /** Excluded. */
  readonly to?: number | undefined
}

/** Which rows of a table to read. */
export interface RowsRequest {
  readonly limit: number
  /** Only keys that begin with this text. */
  readonly prefix?: string | undefined
  /** The first key, included. */
  readonly from?: string | undefined
  /** The end, excluded. */
  readonly to?: string | undefined
}

export interface TableRows {
  readonly rows: readonly { readonly key: unknown; readonly value: unknown; readonly partition: number }[]
  /** Whether there are more rows than the limit. */
  readonly more: boolean
}

/** Which records of a topic to read. */
export interface RecordsRequest {
  /**
   * Where to read each partition. An offset that does not exist becomes the beginning or the end; `last` counts offsets
   * before the end, which may hold fewer records after compaction and transactions.
   */
  readonly from:
    | 'beginning'
    | 'end'
    | { readonly timestampMs: number }
    | { readonly offset: number }
    | { readonly last: number }
  /** Continue reading after the current ends of the partitions. */
  readonly follow: boolean
  /** Only records with this key, typed as text. */
  readonly key?: string | undefined
  /** Only records of this partition. */
  readonly partition?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A record in a form that can be shown. */
export interface ShownRecord extends TopicPartition {
  readonly offset: number
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  readonly key: ShownBytes
  readonly value: ShownBytes
  readonly headers: RawHeaders
}
