import type { Clock, Logger } from '@millrace/core'
import type { LogBackend } from '../log/log-backend.ts'
import type { Lifespan } from './lifespan.ts'

/** What a transport gives to each of its parts. */
export interface PartContext {
  readonly backend: LogBackend
  readonly clock: Clock
  readonly log: Logger
  /** Of the transport. */
  readonly lifespan: Lifespan
  /** Names this transport among those that use the log; a member's host. */
  readonly host: string
}
