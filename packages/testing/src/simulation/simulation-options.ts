import type { App } from '@millrace/app'
import type { StoreDriver, Transport } from '@millrace/core/driver'
import type { SendRequest } from '@millrace/worker'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { ReadableTopic, SentRecord } from '../lib/sent-records.ts'

/** What goes wrong in a run, by the names of `FAULTS`. Numbers are the most of a run, shares are of the requests. */
export interface SimulationFaults {
  /** Workers ended as by kill -9, at any await; a new one starts later, on the old disk or on an empty one. Default 3. */
  readonly kills?: number
  /** Clean stops, and starts afterwards. Default 2. */
  readonly stops?: number
  /** Rebalances without a reason. Default 2. */
  readonly rebalances?: number
  /** Heartbeats that get lost for about a session; the worker itself goes on. Default 1. */
  readonly silences?: number
  /** Workers that stand still for about a session, as by SIGSTOP, and then go on. Default 1. */
  readonly freezes?: number
  /** Share of requests of producers outside transactions that are stored and sent again, the answer being lost. They double nothing. Default 0.03. */
  readonly lostAnswers?: number
  /** Share of awaits that take time on the clock, up to `slowMs`. Default 0.03. */
  readonly slow?: number
  /** Milliseconds. Default 800. */
  readonly slowMs?: number
  /** Share of transactions whose commit ends in an error, committed or not. Default 0.03. */
  readonly commitErrors?: number
  /** Workers to whom no coordinator answers for a while: no commit of theirs gets on, and transactions may time out. Default 1. */
  readonly stalls?: number
  /** Workers that are stopped while no coordinator answers them any more: they must end within `shutdownTimeout` all the same. Default 1. */
  readonly deafStops?: number
  /** Times that the oldest records of an input partition are deleted, read or not. Only with `onOffsetLost: 'earliest'`. Default 1. */
  readonly cuts?: number
  /** Times that a partition takes no records of transactions for up to 25 s. Only exactly once. Default 1. */
  readonly delays?: number
  /** Times that the next release is deployed, worker by worker: see `SimulationOptions.releases`. Default 1. */
  readonly deploys?: number
  /** Members with data that no worker has written, which stay in the group for a while. Default 1. */
  readonly intruders?: number
  /** Times that a job or page keeps the event loop of a worker for longer than its session. Default 1. */
  readonly blocks?: number
  /** Times that a worker joins and hears nothing of its group for up to 3 s: it may miss a generation. Default 0. */
  readonly lags?: number
  /** Workers that are thrown out while they drain for a rebalance. Default 0. */
  readonly evictions?: number
  /**
   * Times that a topic of the input gets twice as many partitions. The workers end with `PARTITIONS_CHANGED` when they
   * find out, and are started again. Only for apps that keep nothing by partition, such as tables. Default 0.
   */
  readonly topicChanges?: number
  /** Share of the runs whose workers are static members, in their places again after a crash. Default 0.3. */
  readonly statics?: number
}

/** What an app under simulation may ask for. */
export interface SimulatedWorld {
  readonly seed: number
  /** Which version of the app is to be made, from 1. */
  readonly release: number
  /** From 0 to below 1, decided by the seed. */
  random(): number
  /** True for a share of the calls, while faults go on: for handlers that fail. */
  fails(share: number): boolean
  /** Waits until the simulation lets it go on: awaits of handlers end in another order each time. */
  pause(): Promise<void>
  /** Takes so many milliseconds on the clock of the run. */
  work(forMs: number): Promise<void>
  /** Keeps the event loop of the worker that calls for longer than its session, as a handler does that computes. */
  block(): void
}

/** A record to send, as bytes, with the time of sending. `topic.request` makes it. */
export type SimulatedInput = (nowMs: number) => SendRequest

/** A record that was sent in. */
export interface SimulatedRecord extends SendRequest {
  readonly partition: number
  readonly offset: number
}

/** A run that has come to rest, workers still there: tables may be read. */
export interface SimulatedRun {
  readonly seed: number
  readonly log: MemoryLog
  /** In the order of sending. */
  readonly input: readonly SimulatedRecord[]
  /** A fault has happened after which an event may count twice under the app's guarantee. */
  readonly mayDouble: boolean
  /** On the clock of the run, from the last fault until everything was at rest. */
  readonly settledMs: number
  readonly exactlyOnce: boolean
  /** Whether a fault has deleted this record of the input, so that it may not have been read. */
  wasCut(record: SimulatedRecord): boolean
  /** The records of a topic, decoded, partition by partition. */
  sent<K, V>(topic: ReadableTopic<K, V>): readonly SentRecord<K, V>[]
}

export interface SimulationOptions {
  /** Decides everything. */
  readonly seed: number
  /** How many versions of the app a run may deploy: the function that makes it is asked for each. Default 1. */
  readonly releases?: number
  /** How many workers run when none has fallen. Default 3. */
  readonly workers?: number
  /** Default: all of them; `'none'` for a quiet run. */
  readonly faults?: SimulationFaults | 'none'
  /** What is sent in, in this order. See `numberedRecords`. */
  readonly input: (world: SimulatedWorld) => Iterable<SimulatedInput>
  /** Throws when the outcome is wrong. */
  readonly check?: (run: SimulatedRun) => void | Promise<void>
  /** Something still waits for its time, as a timer does: the run is not at rest. Default: nothing does. */
  readonly isPending?: (log: MemoryLog) => boolean
  /** Partition count of topics that do not say another. Default 4. */
  readonly partitions?: number
  /** Most decisions of a run; more means that it does not come to rest. Default 50,000. */
  readonly maxSteps?: number
  /** Between a worker and its simulated broker: for planted defects. */
  readonly wrapTransport?: (transport: Transport) => Transport
  /** Between a worker and its disk: for planted defects. */
  readonly wrapStore?: (store: StoreDriver) => StoreDriver
}

/** An app, or a function that makes one for each run. */
export type SimulatedApp = App | ((world: SimulatedWorld) => App)

/** How a run went. */
export interface SimulationReport {
  readonly seed: number
  /** Every decision and everything seen, one line each. The same seed gives the same lines. */
  readonly trace: readonly string[]
  readonly steps: number
  /** Faults that happened, by kind. */
  readonly faults: Readonly<Record<string, number>>
  readonly records: number
  /** The one line that repeats the run. */
  readonly repeat: string
}
