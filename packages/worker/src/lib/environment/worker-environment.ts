import type { Clock, Logger, Redact, ResolvedSettings, Sensor } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import type { ContextStorage } from '../contracts/worker-context.ts'

/** The settings of an app as its worker takes them: resolved and checked, all durations in milliseconds, all sizes in bytes. */
export interface WorkerSettings extends ResolvedSettings {
  /** As `processingGuarantee` says. */
  readonly exactlyOnce: boolean
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
  /** What code of parts runs in. Without it nobody sees that a handler which has waited for something blocks the event loop. */
  readonly contexts?: ContextStorage
  /** Freeze values that tables give out. */
  readonly freeze: boolean
}

/**
 * The settings of an app for its worker.
 *
 * @example
 * createWorker({ …, settings: workerSettings(resolveSettings({ argument: { id: 'shop' } })) })
 */
export function workerSettings(settings: ResolvedSettings): WorkerSettings {
  return { ...settings, exactlyOnce: settings.processingGuarantee === 'exactly-once' }
}
