import type { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock, Logger, RawRecord, RecordMetadata, Redact, Sensor } from '@millrace/core'
import type { Isolation, Reader, TopicSpec } from '@millrace/core/driver'
import type { StampedRecord } from './event-time.ts'
import type { SubscriptionQueue, SendRequest, CurrentEvent } from './event.ts'
import type { Candidate } from './group.ts'
import type { OpenState, StateDefinition, TaskRef } from './task.ts'

/** What anything that talks to the broker needs, with or without a worker. */
export interface ClientContext {
  /** Unique per process and run. */
  readonly id: string
  readonly appId: string
  readonly clock: Clock
  readonly log: Logger
  /** For texts on their way out that are no lines of the log: errors in letters, replies and statistics. */
  readonly redact: Redact
  /** Resolves when the broker has acknowledged the record. Rejects with what the broker refused it for. */
  send(request: SendRequest): Promise<RecordMetadata>
  /** Number of partitions of an existing topic; `TOPIC_MISSING` otherwise. */
  partitions(topic: string): Promise<number>
  createTopics(specs: readonly TopicSpec[]): Promise<void>
  /** Closed with the context if the caller does not close it. */
  reader(isolation: Isolation): Reader
}

/** A worker, as descriptors and parts see it. Implemented by `worker`. */
export interface WorkerContext extends ClientContext {
  readonly sensor: Sensor
  readonly exactlyOnce: boolean
  /** Aborts when the worker stops hard. */
  readonly signal: AbortSignal
  /**
   * Aborts some time after hand-out was stopped for a rebalance or a stop while events are still in flight: what those wait
   * for and only a handed out event could give will not come before they end. Another one after each rebalance: read it anew.
   */
  readonly draining: AbortSignal
  /** A state in a task that is here and recovered; `undefined` otherwise. */
  openState(state: StateDefinition, partition: number): OpenState | undefined
  /** Everything that is open of a state on this worker, by partition. */
  openStates(state: StateDefinition): ReadonlyMap<number, OpenState>
  /** Partition count of a state; known once the worker has started, `undefined` before. */
  partitionsOf(state: StateDefinition): number | undefined
  /** Ends the worker with this error; nothing in flight is committed. */
  fail(error: Error): void
}

/** A topic that the app uses, created when it is missing unless `create` is false. */
export interface TopicDeclaration {
  readonly name: string
  /** `undefined`: `topicPartitions`, or the source's count for repartition topics. */
  readonly partitions: number | undefined
  /** With `partitions: undefined`: as many as the largest of these topics has. */
  readonly sizedAs?: readonly string[]
  readonly config: Readonly<Record<string, string>>
  readonly create: boolean
  /** Made by Millrace for the app itself (repartition, reply and dead letter topics). */
  readonly internal: boolean
  /**
   * Only this app reads it, and each record once: what the group has committed is deleted (`repartitionPurgeInterval`).
   * Default false.
   */
  readonly purge?: boolean
  /** `Codec.name` of its keys, for the check against tables; `undefined` when nobody declared one. */
  readonly keyCodec: string | undefined
  /** Gives its records the times of their events. Called once for each record, in the order of its partition. Default: their own. */
  readonly stamp?: (record: RawRecord) => StampedRecord
}

export interface SubscriptionSpec {
  /** Agent name, or agent name and step: unique; key of its position in the commit metadata. */
  readonly id: string
  readonly topics: readonly string[]
  /** Name of the agent, for messages and `CurrentEvent.agent`. */
  readonly agent: string
  /** Record queues to make, one for each instance. */
  readonly instances: number
  /** 'key': records of one key go to one instance; 'none': to whichever has room. */
  readonly ordering: 'key' | 'none'
  /** What this state has due is read too. Each state has one subscription of this kind at most. */
  readonly due?: StateDefinition
}

/**
 * What must have happened before events of a task are handed out. Called when its earlier owner is shut out, for several
 * tasks side by side; ends with the signal's reason when the task is lost meanwhile. What it rejects with otherwise ends the
 * worker.
 */
export type WaitForTask = (task: TaskRef, signal: AbortSignal) => Promise<void>

/** Open until the worker joins its group; afterwards every call throws `TOPOLOGY_LATE`, naming what was declared. */
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
  /** Takes part in the choice of one leader for the whole group. */
  lead(candidate: Candidate): void
  /** Waited for by each task that comes here, or is opened anew. */
  beforeTask(wait: WaitForTask): void
}

/**
 * Something that lives as long as a worker: the agents, global tables, reply reading, a scheduler, a web server.
 * The worker calls in order, all parts at one step before the next: `declare` (synchronous part of start: agents start
 * their handlers here), `start` (broker reached, topics exist), `ready` (joined and first recovery done), `stop`
 * (in reverse order; queues are closed and events finished by then; `signal` aborts when the worker does not wait any
 * longer: the time for a stop is limited).
 */
export interface WorkerPart {
  readonly name: string
  declare(worker: WorkerContext, topology: Topology): void
  start(): Promise<void>
  ready(): void
  stop(signal?: AbortSignal): Promise<void>
}

/** In whose course code runs: kept in one `AsyncLocalStorage` that the app owns. */
export interface ProcessingContext {
  readonly client: ClientContext
  /** `undefined` in commands and clients, which have no worker. */
  readonly worker: WorkerContext | undefined
  /** The current event, open or not; `undefined` outside agents and between events. */
  readonly event: CurrentEvent | undefined
  /** Inside an agent: its name. A write outside an event is then `NO_CURRENT_EVENT` rather than `WRITE_OUTSIDE_AGENT`. */
  readonly agent: string | undefined
  /** Inside a job with `onLeader`: its name. It runs once for the whole app, so that rows of this worker alone are too few. */
  readonly leaderJob?: string | undefined
}

export type ContextStorage = AsyncLocalStorage<ProcessingContext>
