import type { RawHeaders } from '@millrace/core'
import type { Request } from '../asking/request.ts'

/** What is in a channel: a value as it is, not encoded. */
export interface ChannelMessage {
  readonly key: string | null
  readonly value: unknown
  readonly headers: RawHeaders
  readonly timestamp: number
  readonly request: Request | undefined
}

/** A message on its way through one agent. */
export interface QueuedMessage {
  readonly message: ChannelMessage
  /** Counted from 0 for each instance. */
  readonly offset: number
  readonly attempts: number
}
