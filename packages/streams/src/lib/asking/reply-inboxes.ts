import { type ClientContext, type Codec, jsonCodec } from '@millrace/core'
import { ReplyInbox } from './reply-inbox.ts'

export interface ReplyInboxesOptions {
  /** Partitions of `{appId}-replies` when it has to be created. Default 8. */
  readonly partitions?: number
}

/** The reply inboxes of an app: one for each worker or client in the process, opened by its first ask. */
export class ReplyInboxes {
  /** How replies are encoded, on both sides. */
  readonly codec: Codec<unknown> = jsonCodec
  readonly #partitions: number
  readonly #inboxes = new WeakMap<ClientContext, ReplyInbox>()

  constructor({ partitions = 8 }: ReplyInboxesOptions = {}) {
    this.#partitions = partitions
  }

  of(client: ClientContext): ReplyInbox {
    const known = this.#inboxes.get(client)
    if (known !== undefined) return known
    const inbox = new ReplyInbox(client, { partitions: this.#partitions, codec: this.codec })
    this.#inboxes.set(client, inbox)
    return inbox
  }

  /** Called before the client closes; asks under way are rejected with `CLOSED`. */
  async close(client: ClientContext): Promise<void> {
    await this.#inboxes.get(client)?.close()
  }
}
