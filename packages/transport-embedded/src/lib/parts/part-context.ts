import type { Clock, Logger } from '@millrace/core'
import type { LogBackend } from '../log/log-backend.ts'
import type { Lifespan } from './lifespan.ts'
import type { Patience } from './patience.ts'

/** What a transport gives to each of its parts. */
export interface OpenStateOptions {
  readonly backend: LogBackend
  readonly clock: Clock
  readonly log: Logger
  /** Of the transport. */
  readonly lifespan: Lifespan
  /** Names this transport among those that use the log; a member's host. */
  readonly host: string
  readonly patience: Patience
  /** Told by each part when it is closed. */
  readonly ended: (part: object) => void
  /** `undefined`: members are never thrown out for silence. Otherwise tells whether a host is surely gone. */
  readonly isHostDead: ((host: string) => boolean) | undefined
}
