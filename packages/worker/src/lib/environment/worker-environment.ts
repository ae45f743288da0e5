import type { Clock, Logger, Redact, ResolvedSettings, Sensor } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import type { ContextStorage } from '../contracts/worker-context.ts'

/**
 * The settings of an app in the form that its worker takes: resolved and checked, durations in milliseconds, sizes in
 * bytes.
 */
export interface WorkerSettings extends ResolvedSettings {
  /** Derived from `processingGuarantee`. */
  readonly exactlyOnce: boolean
}

/** What every part of a worker may use: one object that is made once and passed along. */
export interface WorkerEnvironment {
  /** Consumer group and prefix of internal names. */
  readonly appId: string
  /** Unique per process and run. */
  readonly workerId: string
  readonly settings: WorkerSettings
  /** Not connected yet: `start` connects it. Closed by the worker. */
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Logger
  /** Cleans texts of errors that are kept or sent. Default: `redactText`. */
  readonly redact?: Redact
  readonly sensor: Sensor
  /**
   * The storage for the context of code that parts run. Without it, a handler that blocks the event loop after an await
   * is not found.
   */
  readonly contexts?: ContextStorage
  /** Freeze the values that tables return. */
  readonly freeze: boolean
}

/**
 * Makes the settings of a worker from those of an app.
 *
 * @example
 * createWorker({ …, settings: workerSettings(resolveSettings({ argument: { id: 'shop' } })) })
 */
export function workerSettings(settings: ResolvedSettings): WorkerSettings {
  return { ...settings, exactlyOnce: settings.processingGuarantee === 'exactly-once' }
}
