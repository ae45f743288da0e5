import {
  type CommitOffset,
  isMillraceError,
  MillraceError,
  NO_HEADERS,
  type OutgoingRecord,
  partitionKey,
  type TopicPartition,
} from '@millrace/core'
import type { Admin } from '@millrace/core/driver'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import { digestOf, progressTopic, referTo, splitPages, withPages } from '../records/progress-pages.ts'
import { Outgoing, type SendOrigin } from '../sending/outgoing.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import { provideTopics } from '../topics/provide-topics.ts'

/** The pause between attempts to read pages of a partition that does not answer. */
const RETRY_MS = 1000

/**
 * The topic for what agents have finished, if the metadata of a commit has no room for it (decision 092). The pages are
 * sent in the transaction that commits the reference to them. The topic is created with the first page, because most
 * apps need none.
 */
export class ProgressTopic {
  readonly #environment: WorkerEnvironment
  readonly #admin: Pick<Admin, 'topics' | 'createTopics'>
  readonly #name: string
  #provided: Promise<boolean> | undefined = undefined
  #isThere = false

  constructor(environment: WorkerEnvironment, admin: Pick<Admin, 'topics' | 'createTopics'>) {
    this.#environment = environment
    this.#admin = admin
    this.#name = progressTopic(environment.appId)
  }

  /** Whether the topic is known to exist, so that pages can be sent. */
  get isThere(): boolean {
    return this.#isThere
  }

  /**
   * Creates the topic if it is missing. Returns false while the broker cannot be reached.
   *
   * @throws MillraceError `TOPIC_MISSING` if the app may not create topics
   */
  provide(): Promise<boolean> {
    this.#provided ??= this.#provide().finally(() => (this.#provided = undefined))
    return this.#provided
  }

  async #provide(): Promise<boolean> {
    const { settings, log } = this.#environment
    const { topicPartitions: partitions, replicationFactor, topics } = settings
    const config = { 'cleanup.policy': 'compact' }
    try {
      await provideTopics(this.#admin, [{ name: this.#name, partitions, replicationFactor, config }], topics.create)
    } catch (thrown) {
      if (!isMillraceError(thrown, 'BROKER_UNREACHABLE', 'TIMEOUT')) throw thrown
      log.warn({ topic: this.#name }, `${thrown.detail} Commits that need ${this.#name} wait until it can be created.`)
      return false
    }
    if (!this.#isThere)
      log.info(
        { topic: this.#name },
        `Progress of agents that has no room beside the committed offset goes to ${this.#name}.`,
      )
    this.#isThere = true
    return true
  }

  /** Sends the pages of a text as records of the commit that has the offset of this source partition. */
  send(text: string, source: TopicPartition, output: Pick<TaskOutput, 'add'>): SentPages {
    const timestamp = this.#environment.clock.now()
    const origin = new PageOrigin(source)
    const records = splitPages(text).map((page, nth) => {
      const key = Buffer.from(`${partitionKey(source)}#${nth}`)
      const value = Buffer.from(page)
      return new Outgoing(
        { topic: this.#name, partition: undefined, key, value, headers: NO_HEADERS, timestamp },
        origin,
      )
    })
    for (const record of records) output.add(record)
    return new SentPages(records)
  }

  /**
   * Completes commits with the progress from their pages. Waits for a partition that does not answer, until `signal`
   * aborts.
   *
   * @throws MillraceError `PROGRESS_MISSING` under exactly once; at least once continues at the offset and logs an
   * error
   */
  async read(committed: readonly CommitOffset[], signal: AbortSignal): Promise<readonly CommitOffset[]> {
    const { clock, log } = this.#environment
    for (;;) {
      try {
        return await this.#read(committed, signal)
      } catch (thrown) {
        if (!isMillraceError(thrown, 'TIMEOUT')) throw thrown
        log.warn({ topic: this.#name }, `${thrown.detail} A task that is opened waits for it.`)
      }
      await clock.sleep(RETRY_MS, signal)
    }
  }

  async #read(committed: readonly CommitOffset[], signal: AbortSignal): Promise<readonly CommitOffset[]> {
    const { clock, log, settings, transport } = this.#environment
    const reader = (): ReturnType<typeof transport.reader> => transport.reader({ isolation: 'read-uncommitted' })
    const found: CommitOffset[] = []
    for (const one of committed) {
      try {
        found.push(...(await withPages([one], { topic: this.#name, reader, clock, signal })))
      } catch (thrown) {
        if (settings.exactlyOnce || !isMillraceError(thrown, 'PROGRESS_MISSING')) throw thrown
        log.error(
          { topic: one.topic, partition: one.partition },
          `${thrown.detail} Events finished beyond that offset are handled again.`,
        )
        found.push({ ...one, metadata: '' })
      }
    }
    return found
  }
}

/** Pages that are being sent. */
export class SentPages {
  readonly #records: readonly Outgoing[]

  constructor(records: readonly Outgoing[]) {
    this.#records = records
  }

  /** The metadata that refers to the pages, once the broker has all of them. */
  get metadata(): string {
    return referTo(
      this.#records.map(({ partition, offset, value }) => ({ partition, offset, digest: digestOf(value ?? '') })),
    )
  }
}

class PageOrigin implements SendOrigin {
  readonly open = false
  readonly #source: TopicPartition

  constructor(source: TopicPartition) {
    this.#source = source
  }

  describe(): string {
    return `the progress of agents on ${partitionKey(this.#source)}`
  }

  refusal({ topic, partition }: OutgoingRecord, error: Error): MillraceError {
    const code = isMillraceError(error, 'TOPIC_MISSING', 'NOT_AUTHORIZED') ? error.code : 'RECORD_REFUSED'
    const why = isMillraceError(error) ? error.detail : error.message
    return new MillraceError(code, `${topic}/${partition} refused ${this.describe()}: ${why}`, { cause: error })
  }
}
