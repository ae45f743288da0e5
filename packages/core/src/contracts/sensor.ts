import type { TopicPartition } from './record.ts'
import type { Tracing } from './tracing.ts'

/**
 * One method per observable moment, called synchronously from the worker's loops: keep them short, never throw.
 * None is called once per event, but those of `tracing`, where a sensor asks for that; per-event figures are counters of
 * the parts, read when somebody asks for them.
 */
export interface Sensor {
  /** Follows each event, send, job and request. Default: nobody does. */
  readonly tracing?: Tracing | undefined
  batchFetched(
    batch: TopicPartition & {
      readonly records: number
      readonly bytes: number
      readonly endOffset: number
      /** As `RecordBatch.clampedTimestamps`. */
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
