import type { TopicPartition } from './record.ts'
import type { Tracing } from './tracing.ts'

/**
 * One method per observable moment, called synchronously from the worker's loops: keep them short, and never throw.
 * None is called once per event, except those of `tracing`, if a sensor has it; counts per event are fields of the
 * parts, read on demand.
 */
export interface Sensor {
  /** Follows each event, send, job and request. Default: none. */
  readonly tracing?: Tracing | undefined
  batchFetched(
    batch: TopicPartition & {
      readonly records: number
      readonly bytes: number
      readonly endOffset: number
      /** See `RecordBatch.clampedTimestamps`. */
      readonly clampedTimestamps: number
    },
  ): void
  sendCompleted(sent: { readonly records: number; readonly bytes: number; readonly durationMs: number }): void
  commitCompleted(commit: { readonly tasks: number; readonly rows: number; readonly durationMs: number }): void
  rebalanceStarted(): void
  rebalanceCompleted(change: {
    readonly lost: number
    readonly kept: number
    readonly gained: number
    readonly durationMs: number
  }): void
  recoveryProgress(progress: TopicPartition & { readonly restoredRows: number; readonly remainingRows: number }): void
  /** An exception of user code or of the worker itself; `source` names the agent, table or part. */
  errorRaised(error: { readonly source: string; readonly error: unknown }): void
}

/** Observes nothing. */
export const silentSensor: Sensor = Object.freeze({
  batchFetched: () => {},
  sendCompleted: () => {},
  commitCompleted: () => {},
  rebalanceStarted: () => {},
  rebalanceCompleted: () => {},
  recoveryProgress: () => {},
  errorRaised: () => {},
})
