import { type Clock, type Logger, MillraceError, type Transport } from '@millrace/core'
import type { Client } from './worker.ts'

export interface ClientOptions {
  readonly appId: string
  /** Connected already; stays open. */
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Logger
}

/** Sends and reads without joining a group. */
export function createClient(options: ClientOptions): Client {
  throw new MillraceError('WORKER_FAILED', `Client of ${options.appId} cannot run yet.`)
}
