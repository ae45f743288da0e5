import type { Clock, Logger } from '@millrace/core'
import type { LogBackend } from './log-backend.ts'
import type { Lifespan } from './lifespan.ts'

/** A consumer, a producer, a reader or an admin client. */
export interface LogClient {
  close(): Promise<void>
  /** Stops without notice, as the end of the process would. */
  kill(): void
}

/** What a transport shares with its clients. */
export interface LogClientContext {
  readonly backend: LogBackend
  readonly clock: Clock
  readonly log: Logger
  /** The lifespan of the transport. */
  readonly lifespan: Lifespan
  /** Names this transport among those that use the log; a member's host. */
  readonly host: string
  /** Called by each client when it is closed. */
  readonly ended: (client: LogClient) => void
  /** `undefined` if members are never removed for silence. Otherwise tells whether a host is certainly gone. */
  readonly isHostDead: ((host: string) => boolean) | undefined
}
