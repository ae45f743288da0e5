import type { App } from '@millrace/app'
import type { StoreDriver, Transport } from '@millrace/core/driver'
import type { SendRequest } from '@millrace/worker'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { ReadableTopic, SentRecord } from '../lib/sent-records.ts'

/** The faults of a run, by the names of `FAULTS`. Numbers are limits per run, shares are shares of the requests. */
export interface SimulationFaults {
  /**
   * Workers that end as by kill -9, at any await; a new one starts later, on the old disk or on an empty one. Default
   * 3.
   */
  readonly kills?: number
  /** Clean stops, and starts afterwards. Default 2. */
  readonly stops?: number
  /** Rebalances without a reason. Default 2. */
  readonly rebalances?: number
  /** Heartbeats that get lost for about a session while the worker continues. Default 1. */
  readonly silences?: number
  /** Workers that are suspended for about a session, as by SIGSTOP, and then continue. Default 1. */
  readonly freezes?: number
  /**
   * Share of requests of producers outside transactions that are stored and sent again because the answer was lost.
   * They must not duplicate anything. Default 0.03.
   */
  readonly lostAnswers?: number
  /** Share of awaits that take time on the clock, up to `slowMs`. Default 0.03. */
  readonly slow?: number
  /** Milliseconds. Default 800. */
  readonly slowMs?: number
  /** Share of transactions whose commit ends in an error, committed or not. Default 0.03. */
  readonly commitErrors?: number
  /**
   * Workers that get no answer from coordinators for a while: their commits wait, and transactions may time out.
   * Default 1.
   */
  readonly stalls?: number
  /**
   * Workers that are stopped while no coordinator answers them any more: they must still end within `shutdownTimeout`.
   * Default 1.
   */
  readonly deafStops?: number
  /**
   * How often the oldest records of an input partition are deleted, read or not. Only with `onOffsetLost: 'earliest'`.
   * Default 1.
   */
  readonly cuts?: number
  /** How often a partition accepts no records of transactions for up to 25 s. Only exactly once. Default 1. */
  readonly delays?: number
  /** How often the next release is deployed, worker by worker: see `SimulationOptions.releases`. Default 1. */
  readonly deploys?: number
  /** Foreign members with data that no worker has written, which stay in the group for a while. Default 1. */
  readonly intruders?: number
  /** How often a job or page blocks the event loop of a worker for longer than its session. Default 1. */
  readonly blocks?: number
  /**
   * How often a worker joins and gets no news of its group for up to 3 s, so that it may miss a generation. Default 0.
   */
  readonly lags?: number
  /** Workers that are removed from the group while they drain for a rebalance. Default 0. */
  readonly evictions?: number
  /**
   * How often an input topic gets twice as many partitions. The workers end with `PARTITIONS_CHANGED` when they notice,
   * and are restarted. Only for apps that keep nothing by partition, such as tables. Default 0.
   */
  readonly topicChanges?: number
  /** Share of the runs whose workers are static members, which resume their memberships after a crash. Default 0.3. */
  readonly statics?: number
}

/** What the simulation offers to an app. */
export interface SimulatedWorld {
  readonly seed: number
  /** The version of the app to make, from 1. */
  readonly release: number
  /** From 0 to below 1, decided by the seed. */
  random(): number
  /** Returns true for a share of the calls while faults continue: for handlers that fail. */
  fails(share: number): boolean
  /** Waits until the simulation continues it, so that awaits of handlers end in another order each time. */
  pause(): Promise<void>
  /** Takes this many milliseconds on the clock of the run. */
  work(forMs: number): Promise<void>
  /** Blocks the event loop of the calling worker for longer than its session, like a handler that computes. */
  block(): void
}

/** A record to send, as bytes, with the time of sending. `topic.request` makes it. */
export type SimulatedInput = (nowMs: number) => SendRequest

/** A record that was sent in. */
export interface SimulatedRecord extends SendRequest {
  readonly partition: number
  readonly offset: number
}

/** A run that has settled, with its workers still running, so that tables can be read. */
export interface SimulatedRun {
  readonly seed: number
  readonly log: MemoryLog
  /** In the order of sending. */
  readonly input: readonly SimulatedRecord[]
  /** Whether a fault has happened after which an event may count twice under the app's guarantee. */
  readonly mayDouble: boolean
  /** The time on the clock of the run from the last fault until everything was at rest. */
  readonly settledMs: number
  readonly exactlyOnce: boolean
  /** Whether a fault has deleted this record of the input, so that it may not have been read. */
  wasCut(record: SimulatedRecord): boolean
  /** The records of a topic, decoded, partition by partition. */
  sent<K, V>(topic: ReadableTopic<K, V>): readonly SentRecord<K, V>[]
}

export interface SimulationOptions {
  /** The seed, which decides everything. */
  readonly seed: number
  /** How many versions of the app a run may deploy; the function that makes the app is called for each. Default 1. */
  readonly releases?: number
  /** How many workers run if none has failed. Default 3. */
  readonly workers?: number
  /** Default: all of them; `'none'` for a quiet run. */
  readonly faults?: SimulationFaults | 'none'
  /** The input, in this order. See `numberedRecords`. */
  readonly input: (world: SimulatedWorld) => Iterable<SimulatedInput>
  /** Throws if the outcome is wrong. */
  readonly check?: (run: SimulatedRun) => void | Promise<void>
  /**
   * Whether something still waits for its time, such as a timer, so that the run is not at rest. Default: nothing does.
   */
  readonly isPending?: (log: MemoryLog, nowMs: number) => boolean
  /** Called at the beginning; what it returns is called after each step that has changed the log, and throws if that is wrong. */
  readonly watch?: () => (log: MemoryLog) => void
  /** Partition count of topics without their own. Default 4. */
  readonly partitions?: number
  /** The most decisions of a run; with more, the run does not settle. Default 50,000. */
  readonly maxSteps?: number
  /** Wraps the transport of a worker: for planted defects. */
  readonly wrapTransport?: (transport: Transport) => Transport
  /** Wraps the store of a worker: for planted defects. */
  readonly wrapStore?: (store: StoreDriver) => StoreDriver
}

/** An app, or a function that makes one for each run. */
export type SimulatedApp = App | ((world: SimulatedWorld) => App)

/** How a run went. */
export interface SimulationReport {
  readonly seed: number
  /** Every decision and observation, one line each. The same seed gives the same lines. */
  readonly trace: readonly string[]
  readonly steps: number
  /** Faults that happened, by kind. */
  readonly faults: Readonly<Record<string, number>>
  readonly records: number
  /** The one line that repeats the run. */
  readonly repeat: string
}
