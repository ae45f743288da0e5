import type { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock, Logger, RawRecord, RecordMetadata, Redact, Sensor } from '@millrace/core'
import type { Isolation, Reader, StorePartition, TopicSpec } from '@millrace/core/driver'
import type { StampedRecord } from './event-time.ts'
import type { SubscriptionQueue, SendRequest, CurrentEvent } from './event.ts'
import type { Candidate } from './group.ts'
import type { OpenState, StateDefinition, TaskRef } from './task.ts'

/** What code that talks to the broker needs, with or without a worker. */
export interface ClientContext {
  /** Unique per process and run. */
  readonly id: string
  readonly appId: string
  readonly clock: Clock
  readonly log: Logger
  /** Cleans texts that leave the process other than as log lines: errors in letters, replies and statistics. */
  readonly redact: Redact
  /** Resolves when the broker has acknowledged the record. Rejects with the broker's reason for refusing it. */
  send(request: SendRequest): Promise<RecordMetadata>
  /** Number of partitions of an existing topic; `TOPIC_MISSING` otherwise. */
  partitions(topic: string): Promise<number>
  createTopics(specs: readonly TopicSpec[]): Promise<void>
  /** Closed with the context if the caller does not close it. */
  reader(isolation: Isolation): Reader
}

/** Committed rows of a task elsewhere, as of some commits ago. */
export interface StateCopy {
  readonly rows: Pick<StorePartition, 'get'>
  /** Offsets of the changelog that it lacked when the worker last heard of its end. */
  readonly lag: number
}

/** Why no events are handed out to an agent, of `NOT_NOW`. */
export type HoldReason = 'paused' | 'circuit'

/** A worker, as descriptors and parts see it. Implemented by `worker`. */
export interface WorkerContext extends ClientContext {
  readonly sensor: Sensor
  readonly exactlyOnce: boolean
  /** Aborts when the worker stops hard. */
  readonly signal: AbortSignal
  /**
   * Aborts some time after hand-out was stopped for a rebalance or a stop while events are still in flight: results
   * that only another handed-out event could produce will not arrive before they end. Each rebalance has a new signal,
   * so read it each time.
   */
  readonly draining: AbortSignal
  /** A state in a task that is here and recovered; otherwise `undefined`. */
  openState(state: StateDefinition, partition: number): OpenState | undefined
  /** All open partitions of a state on this worker. */
  openStates(state: StateDefinition): ReadonlyMap<number, OpenState>
  /** A warm copy on this worker of a state that is in a task elsewhere; `undefined` if there is none that could be read. */
  copyOf(state: StateDefinition, partition: number): StateCopy | undefined
  /** Partition count of a state; `undefined` before the worker has started. */
  partitionsOf(state: StateDefinition): number | undefined
  /**
   * Holds back all events of an agent on this worker, or no longer: `paused`, or its `circuit` is open. What it has in
   * flight goes on. Other agents that read the same partitions go on, and the commit keeps the agent's own position.
   */
  hold(agent: string, reason: HoldReason, on: boolean): void
  /** Ends the worker with this error; nothing in flight is committed. */
  fail(error: Error): void
}

/** A topic that the app uses. It is created if it is missing, unless `create` is false. */
export interface TopicDeclaration {
  readonly name: string
  /** `undefined` means `topicPartitions`, or the source's count for repartition topics. */
  readonly partitions: number | undefined
  /** With `partitions: undefined`: the count is that of the largest of these topics. */
  readonly sizedAs?: readonly string[]
  /** Name of the state that is written by its events: it has as many partitions, and says nothing of where other states belong. */
  readonly sizedAsState?: string | undefined
  readonly config: Readonly<Record<string, string>>
  readonly create: boolean
  /** Whether Millrace made it for the app itself (repartition, reply and dead letter topics). */
  readonly internal: boolean
  /**
   * Whether only this app reads it, and each record once, so that committed records can be deleted
   * (`repartitionPurgeInterval`). Default false.
   */
  readonly purge?: boolean
  /**
   * Ids of the subscriptions whose events go into it, of a repartition topic. Where a state keeps event time, each of their
   * tasks says in every partition how far its own has come.
   */
  readonly timeOf?: readonly string[]
  /**
   * Its events are handled again, and have nothing to say of how far event time has come: they move no watermark and hold none.
   * Default false.
   */
  readonly untimed?: boolean
  /** `Codec.name` of its keys, for the check against tables; `undefined` if nobody declared one. */
  readonly keyCodec: string | undefined
  /**
   * Gives its records the times of their events. Called once for each record, in the order of its partition. Default:
   * the records' own times.
   */
  readonly stamp?: (record: RawRecord) => StampedRecord
  /**
   * What its codecs need from outside before they can decode the record, as `Codec.missing`. Called for the records of each batch
   * before they are handed out. Default: nothing.
   */
  readonly missing?: (record: RawRecord) => Promise<void> | undefined
}

export interface SubscriptionSpec {
  /** Unique: the agent's name, or agent name and step. It is the key of the position in the commit metadata. */
  readonly id: string
  readonly topics: readonly string[]
  /** Name of the agent, for messages and `CurrentEvent.agent`. */
  readonly agent: string
  /** How many record queues to make: one for each instance. */
  readonly instances: number
  /** 'key': records of one key go to one instance; 'none': to any instance with room. */
  readonly ordering: 'key' | 'none'
  /** A state whose due events are read too. Each state has at most one such subscription. */
  readonly due?: StateDefinition
}

/**
 * What must have happened before events of a task are handed out. Called after its earlier owner is fenced, for several
 * tasks concurrently. Rejects with the signal's reason if the task is lost meanwhile; any other rejection ends the
 * worker.
 */
export type WaitForTask = (task: TaskRef, signal: AbortSignal) => Promise<void>

/** Open until the worker joins its group; afterwards every call throws `TOPOLOGY_LATE` and names the declaration. */
export interface Topology {
  topic(declaration: TopicDeclaration): void
  subscribe(spec: SubscriptionSpec): readonly SubscriptionQueue[]
  state(state: StateDefinition): void
  /**
   * Within each task, the events of both subscriptions go out in the order of their times; at equal times, those of `first`
   * go first. An event goes out when all earlier ones have finished. Their topics must have the same number of partitions
   * (`NOT_COPARTITIONED` at start). Pairs that share a subscription make one order; a ring of them is `JOIN_CYCLE`. Twice the same: its topics
   * are ordered.
   */
  order(first: string, then: string): void
  /** The subscription reads this state: at start, `NOT_COPARTITIONED` when its topics have another number of partitions. */
  reads(subscription: string, state: StateDefinition): void
  /** Adds a candidate for the one leader of the whole group. */
  lead(candidate: Candidate): void
  /** Makes each task wait for this when it is opened or reopened. */
  beforeTask(wait: WaitForTask): void
}

/**
 * Something that lives as long as a worker: the agents, global tables, reply reading, a scheduler, a web server. The
 * worker calls these methods in order, and finishes one step for all parts before the next: `declare` (synchronous;
 * agents start their handlers here), `start` (the broker is reached, topics exist), `ready` (joined, and first recovery
 * done), `stop` (in reverse order; queues are closed and events finished by then; `signal` aborts when the time for a
 * stop is over and the worker no longer waits).
 */
export interface WorkerPart {
  readonly name: string
  declare(worker: WorkerContext, topology: Topology): void
  start(): Promise<void>
  ready(): void
  stop(signal?: AbortSignal): Promise<void>
}

/** The context in which code runs: kept in one `AsyncLocalStorage` that the app owns. */
export interface ProcessingContext {
  readonly client: ClientContext
  /** `undefined` in commands and clients, which have no worker. */
  readonly worker: WorkerContext | undefined
  /** The current event, open or not; `undefined` outside agents and between events. */
  readonly event: CurrentEvent | undefined
  /** Inside an agent: its name. A write outside an event is then `NO_CURRENT_EVENT` rather than `WRITE_OUTSIDE_AGENT`. */
  readonly agent: string | undefined
  /**
   * Inside a job with `onLeader`: its name. The job runs once for the whole app, so the rows of this worker alone are
   * not enough for it.
   */
  readonly leaderJob?: string | undefined
}

export type ContextStorage = AsyncLocalStorage<ProcessingContext>
