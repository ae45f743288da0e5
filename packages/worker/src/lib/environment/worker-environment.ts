import type { Clock, Isolation, Logger, Redact, ResolvedSettings, Sensor, Transport } from '@millrace/core'

/** What becomes of a stretch of a source topic that cannot be read. */
export type OnBatchError = 'stop' | 'deadLetter' | 'skip'

/** All durations in milliseconds, all sizes in bytes. Resolved and checked by the caller. */
export interface WorkerSettings {
  /** From one commit of a task to the next. */
  readonly commitIntervalMs: number
  readonly sessionTimeoutMs: number
  /**
   * How long the group waits for a member in a rebalance; `drainTimeoutMs`, half of this for the last commit and a
   * heartbeat must fit in.
   */
  readonly rebalanceTimeoutMs: number
  readonly heartbeatIntervalMs: number
  /** How long events in flight may take to finish in a rebalance. */
  readonly drainTimeoutMs: number
  /** How long a stop may take altogether, whatever hangs. */
  readonly shutdownTimeoutMs: number
  /** False: a static member keeps its place when it is stopped, until its session runs out. */
  readonly leaveOnStop: boolean
  readonly connectTimeoutMs: number
  /** Where a partition starts that the group has never committed. */
  readonly offsetReset: 'earliest' | 'latest'
  /** What happens when the committed offset is no longer in the topic. */
  readonly onOffsetLost: 'stop' | 'earliest'
  /** Of source topics; changelogs are always read committed. Exactly once needs 'read-committed'. */
  readonly isolation: Isolation
  /** What happens to a stretch of a source topic that cannot be read. */
  readonly onBatchError: OnBatchError
  /** Partition count of topics that the app creates and nobody gave a count. */
  readonly topicPartitions: number
  /** Create topics that are missing; otherwise they are named, with the commands that create them. Default true. */
  readonly createTopics?: boolean
  /** Of topics that the app creates; -1 is the broker's default. */
  readonly replicationFactor: number
  /** From one deletion of what was read of repartition topics to the next; 0: never. */
  readonly repartitionPurgeIntervalMs: number
  /** Raw records fetched and not yet handed out, for the whole worker. */
  readonly maxBufferedBytes: number
  /** Events sorted to the instances of an agent and not yet handed out. */
  readonly maxBufferedEvents: number
  /** Events handed out of a partition and not yet committed. */
  readonly maxUncommittedEvents: number
  readonly maxUncommittedBytes: number
  /** Sends not yet acknowledged, for the whole worker; full means that no further event is handed out. */
  readonly maxOutboxBytes: number
  /**
   * After which a partition that takes no records is named in the log and in `WorkerStats.delays`, with the tasks that
   * wait for it.
   */
  readonly deliveryTimeoutMs: number
  /** Sends of one event; beyond it they go out before the event is finished. */
  readonly maxEventBytes: number
  /** Largest record that `send` takes. */
  readonly maxRecordBytes: number
  /** Cached rows of all tables of the worker. */
  readonly cacheBytes: number
  readonly exactlyOnce: boolean
  readonly transactionTimeoutMs: number
  /** Warm copies of each task's state to keep on other workers, for tables that say nothing else. Default 0. */
  readonly standbys?: number
  /**
   * Changelog offsets that a worker may lack of a task's state when it takes it over from another one. With more it makes a
   * copy first, and the task goes on where it is meanwhile.
   */
  readonly acceptableRecoveryLag: number
  /** Copies for that which the group may have under way at a time. */
  readonly maxWarmUps: number
  /** Static membership: the same after every start. Default: the id that the store keeps with its rows, if it keeps one. */
  readonly instanceId?: string
}

/** What every part of a worker may use: one object, made once and passed along. */
export interface WorkerEnvironment {
  /** Consumer group and prefix of internal names. */
  readonly appId: string
  /** Unique per process and run. */
  readonly workerId: string
  readonly settings: WorkerSettings
  /** Not connected yet: `start` does that. Closed by the worker. */
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Logger
  /** For texts of errors that are kept or sent. Default: `redactText`. */
  readonly redact?: Redact
  readonly sensor: Sensor
  /** Freeze values that tables give out. */
  readonly freeze: boolean
}

/**
 * The settings of an app that concern its worker, by the worker's own names.
 *
 * @example
 * createWorker({ …, settings: workerSettings(resolveSettings({ argument: { id: 'shop' } })) })
 */
export function workerSettings(settings: ResolvedSettings): WorkerSettings {
  return {
    commitIntervalMs: settings.commitIntervalMs,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    rebalanceTimeoutMs: settings.rebalanceTimeoutMs,
    heartbeatIntervalMs: settings.heartbeatIntervalMs,
    drainTimeoutMs: settings.drainTimeoutMs,
    shutdownTimeoutMs: settings.shutdownTimeoutMs,
    leaveOnStop: settings.leaveOnStop,
    connectTimeoutMs: settings.connectTimeoutMs,
    offsetReset: settings.offsetReset,
    onOffsetLost: settings.onOffsetLost,
    isolation: settings.isolation,
    onBatchError: settings.onBatchError,
    topicPartitions: settings.topicPartitions,
    createTopics: settings.topics.create,
    replicationFactor: settings.replicationFactor,
    repartitionPurgeIntervalMs: settings.repartitionPurgeIntervalMs,
    maxBufferedBytes: settings.maxBufferedBytes,
    maxBufferedEvents: settings.maxBufferedEvents,
    maxUncommittedEvents: settings.maxUncommitted,
    maxUncommittedBytes: settings.maxUncommittedBytes,
    deliveryTimeoutMs: settings.deliveryTimeoutMs,
    maxOutboxBytes: settings.maxOutboxBytes,
    maxEventBytes: settings.maxEventBytes,
    maxRecordBytes: settings.maxRecordBytes,
    cacheBytes: settings.cacheBytes,
    standbys: settings.standbys,
    acceptableRecoveryLag: settings.acceptableRecoveryLag,
    maxWarmUps: settings.maxWarmUps,
    exactlyOnce: settings.processingGuarantee === 'exactly-once',
    transactionTimeoutMs: settings.transactionTimeoutMs,
    ...(settings.instanceId === undefined ? {} : { instanceId: settings.instanceId }),
  }
}
