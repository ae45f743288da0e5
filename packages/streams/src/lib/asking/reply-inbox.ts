import {
  closedError,
  type Codec,
  headerNamed,
  jsonCodec,
  MillraceError,
  type RawHeaders,
  type RawRecord,
  repliesTopic,
  toError,
} from '@millrace/core'
import { partitionForKey, type Reader } from '@millrace/core/driver'
import type { ClientContext, SendRequest } from '@millrace/worker'
import { type Expectation, PendingReplies } from './pending-replies.ts'
import { replyHeaders } from './requests.ts'

interface ReplyInboxOptions {
  /** Partitions of `{appId}-replies` if the app creates it. */
  readonly partitions: number
  readonly codec: Codec<unknown>
}

interface OpenInbox {
  readonly topic: string
  readonly partition: number
  readonly reader: Reader
}

const RETENTION_MS = 3_600_000

/**
 * Receives the replies to one process's requests. It reads one partition of the reply topic, outside any group, from
 * the end offset before the first request.
 */
export class ReplyInbox {
  readonly #client: ClientContext
  readonly #options: ReplyInboxOptions
  readonly #pending: PendingReplies
  #opening: Promise<OpenInbox> | undefined
  #asked = 0
  #closed = false

  constructor(client: ClientContext, options: ReplyInboxOptions) {
    this.#client = client
    this.#options = options
    this.#pending = new PendingReplies(client.clock)
  }

  /** Sends a request at once and resolves with its reply. The limit covers both. */
  ask(request: SendRequest, expectation: Expectation): Promise<unknown> {
    if (this.#closed) return Promise.reject(stoppingError(expectation.agent))
    const correlationId = `${this.#client.id}-${++this.#asked}`
    const reply = this.#pending.expect(correlationId, expectation)
    this.#send(request, correlationId, expectation.agent).catch((error: unknown) =>
      this.#pending.reject(correlationId, error),
    )
    return reply
  }

  /** `reason`: why the asking worker ended. */
  async close(reason?: unknown): Promise<void> {
    this.#closed = true
    this.#pending.rejectAll(closedError('The process stopped before a reply had come', reason))
    const opening = this.#opening
    this.#opening = undefined
    if (opening === undefined) return
    const inbox = await opening.catch(() => undefined)
    await inbox?.reader.close()
  }

  async #send(request: SendRequest, correlationId: string, agent: string): Promise<void> {
    const { topic, partition } = await this.#open()
    const text = (value: string): Buffer => Buffer.from(value, 'utf8')
    const headers: RawHeaders = [
      ...request.headers,
      [replyHeaders.topic, text(topic)],
      [replyHeaders.partition, text(String(partition))],
      [replyHeaders.correlationId, text(correlationId)],
      [replyHeaders.agent, text(agent)],
    ]
    await this.#client.send({ ...request, headers })
  }

  #open(): Promise<OpenInbox> {
    if (this.#opening !== undefined) return this.#opening
    const opening = this.#start()
    this.#opening = opening
    // The next ask tries again.
    opening.catch(() => this.#forget(opening))
    return opening
  }

  async #start(): Promise<OpenInbox> {
    const client = this.#client
    const topic = repliesTopic(client.appId)
    const config = { 'cleanup.policy': 'delete', 'retention.ms': String(RETENTION_MS) }
    await client.createTopics([{ name: topic, partitions: this.#options.partitions, replicationFactor: -1, config }])
    const partition = partitionForKey(Buffer.from(client.id, 'utf8'), await client.partitions(topic))
    const reader = client.reader('read-committed')
    try {
      const [offsets] = await reader.offsets([{ topic, partition }])
      if (this.#closed || offsets === undefined)
        throw new MillraceError('CLOSED', `Topic "${topic}" cannot be read for replies any more.`)
      reader.assign({ topic, partition }, offsets.end)
    } catch (thrown) {
      await reader.close()
      throw thrown
    }
    const inbox: OpenInbox = { topic, partition, reader }
    this.#read(inbox).catch((thrown: unknown) => this.#fail(thrown))
    return inbox
  }

  async #read({ reader }: OpenInbox): Promise<void> {
    try {
      for await (const batch of reader.batches()) for (const record of batch.records) this.#receive(record)
    } finally {
      await reader.close()
    }
  }

  #receive({ headers, value }: RawRecord): void {
    const correlationId = headerNamed(headers, replyHeaders.correlationId)
    if (correlationId === undefined) return
    const reason = headerNamed(headers, replyHeaders.error)
    if (reason !== undefined) {
      const said = value === null ? reason : value.toString('utf8')
      return this.#pending.fail(correlationId, { reason, said })
    }
    try {
      this.#pending.resolve(correlationId, value === null ? null : this.#options.codec.decode(value))
    } catch (error) {
      this.#pending.reject(correlationId, error)
    }
  }

  #fail(thrown: unknown): void {
    if (this.#closed) return
    const error = toError(thrown)
    this.#client.log.warn({ err: error }, 'Replies cannot be read; the next ask tries again.')
    this.#opening = undefined
    this.#pending.rejectAll(error)
  }

  #forget(opening: Promise<OpenInbox>): void {
    if (this.#opening === opening) this.#opening = undefined
  }
}

function stoppingError(agent: string): MillraceError {
  return new MillraceError('CLOSED', `Agent "${agent}" cannot be asked any more: the process is stopping.`)
}

export interface ReplyInboxesOptions {
  /** Partitions of `{appId}-replies` if the app creates it. Default 8. */
  readonly partitions?: number
}

/** The reply inboxes of an app: one for each worker or client in the process, opened by its first ask. */
export class ReplyInboxes {
  /** Codec of replies, on both sides. */
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

  /** Called before the client closes; pending asks reject with `CLOSED`. `reason`: why a worker ended. */
  async close(client: ClientContext, reason?: unknown): Promise<void> {
    await this.#inboxes.get(client)?.close(reason)
  }
}
