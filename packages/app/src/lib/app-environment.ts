import type { Clock, Logger, Sensor } from '@millrace/core'

/** What an app takes from outside beside its settings, when it does not run on its own. */
export interface AppEnvironment {
  /** Default: the machine's clock. */
  readonly clock?: Clock | undefined
  /** Default: warnings and errors on the error output, one JSON object a line. `millrace worker` logs through pino. */
  readonly log?: Logger | undefined
  /** Told what the workers observe. */
  readonly sensor?: Sensor | undefined
}
