import {
  type CommitOffset,
  MillraceError,
  type OutgoingRecord,
  partitionKey,
  type TopicPartition,
} from '@millrace/core'
import type { SendOptions, SendOutcome, TransactionalProducer } from '@millrace/core/driver'
import { applyAppend, planAppend } from '../log/plan-append.ts'
import type { LogReads } from '../log/log-backend.ts'
import { checkCommit } from './offsets.ts'
import { Lifespan } from '../log/lifespan.ts'
import { partitionCount } from './log-producer.ts'
import type { LogClientContext } from '../log/client-context.ts'
import { recordSize } from '../log/record-size.ts'

/**
 * Keeps a transaction in memory and writes all of it at its commit, so the log never holds uncommitted records. The
 * offsets that `send` returns are those of the records unless another producer writes to their partitions before the
 * commit.
 */
export class LogTransactionalProducer implements TransactionalProducer {
  readonly #id: string
  readonly #context: LogClientContext
  readonly #lifespan: Lifespan
  #epoch: number | undefined
  #transaction: TransactionBuffer | undefined

  constructor(id: string, context: LogClientContext) {
    this.#id = id
    this.#context = context
    this.#lifespan = new Lifespan(`transactional producer "${id}"`, context.lifespan)
  }

  init(): Promise<void> {
    return this.#lifespan.run(async () => {
      this.#epoch = await this.#context.backend.write('groups', (log) => {
        const epoch = log.epoch(this.#id) + 1
        log.putEpoch(this.#id, epoch)
        return epoch
      })
    })
  }

  begin(): Promise<void> {
    return this.#call(async () => {
      if (this.#transaction !== undefined) throw this.#outOfOrder('begin within a transaction')
      this.#context.backend.read((log) => this.#checkEpoch(log))
      this.#transaction = new TransactionBuffer()
    })
  }

  partitions(topic: string): Promise<number> {
    return this.#call(async () => partitionCount(this.#context, topic))
  }

  brokerOf(_partition: TopicPartition): number {
    return 0
  }

  send(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]> {
    return this.#call(async () => {
      const transaction = this.#open('send')
      options.guard()
      return this.#context.backend.read((log) => {
        this.#checkEpoch(log)
        return transaction.add(log, records)
      })
    })
  }

  sendOffsets(groupId: string, offsets: readonly CommitOffset[]): Promise<void> {
    return this.#call(async () => {
      const transaction = this.#open('sendOffsets')
      checkCommit(offsets)
      this.#context.backend.read((log) => this.#checkEpoch(log))
      transaction.addOffsets(groupId, offsets)
    })
  }

  commit(): Promise<void> {
    return this.#call(async () => {
      const { records, offsets } = this.#open('commit')
      this.#transaction = undefined
      await this.#context.backend.write('records', (log) => {
        this.#checkEpoch(log)
        const plan = planAppend(log, records)
        const refused = plan.outcomes.find((outcome) => outcome?.ok === false)
        if (refused?.ok === false) throw refused.error
        applyAppend(log, plan)
        for (const { groupId, offset } of offsets) log.putCommitted(groupId, offset)
      })
    })
  }

  abort(): Promise<void> {
    return this.#call(async () => {
      this.#open('abort')
      this.#transaction = undefined
      this.#context.backend.read((log) => this.#checkEpoch(log))
    })
  }

  async close(): Promise<void> {
    this.#lifespan.close()
    this.#context.ended(this)
    this.#transaction = undefined
  }

  kill(): void {
    this.#lifespan.kill()
  }

  #call<T>(call: () => Promise<T>): Promise<T> {
    return this.#lifespan.run(() => {
      if (this.#epoch === undefined) throw this.#lifespan.closedError()
      return call()
    })
  }

  #open(call: string): TransactionBuffer {
    if (this.#transaction === undefined) throw this.#outOfOrder(`${call} outside a transaction`)
    return this.#transaction
  }

  #outOfOrder(what: string): MillraceError {
    return new MillraceError('TRANSACTION_STATE', `Transactional id "${this.#id}": ${what}.`)
  }

  #checkEpoch(log: LogReads): void {
    if (log.epoch(this.#id) === this.#epoch) return
    throw new MillraceError(
      'PRODUCER_FENCED',
      `Transactional id "${this.#id}" has been initialised by another producer.`,
    )
  }
}

/** The most bytes of one transaction, because it is kept in memory. */
const MAX_TRANSACTION_BYTES = 256 * 1024 * 1024

/** The contents of a transaction. */
export class TransactionBuffer {
  readonly records: OutgoingRecord[] = []
  readonly offsets: { readonly groupId: string; readonly offset: CommitOffset }[] = []
  readonly #counts = new Map<string, number>()
  #bytes = 0

  /** Adds the records that can be stored, and returns an outcome for each. */
  add(log: LogReads, records: readonly OutgoingRecord[]): readonly SendOutcome[] {
    const { appends, outcomes } = planAppend(log, records)
    for (const { topic, partition, records: accepted, indexes } of appends) {
      const key = partitionKey({ topic: topic.name, partition })
      const count = this.#counts.get(key) ?? 0
      const base = log.bounds(topic, partition).end + count
      accepted.forEach((record, nth) => {
        this.#bytes += recordSize(record)
        this.records.push(record)
        outcomes[indexes[nth] ?? 0] = { ok: true, offset: base + nth }
      })
      this.#counts.set(key, count + accepted.length)
    }
    if (this.#bytes > MAX_TRANSACTION_BYTES) {
      throw new MillraceError(
        'RECORD_REFUSED',
        `A transaction on the local log holds at most ${MAX_TRANSACTION_BYTES} bytes.`,
      )
    }
    return outcomes.filter((outcome) => outcome !== undefined)
  }

  addOffsets(groupId: string, offsets: readonly CommitOffset[]): void {
    for (const offset of offsets) this.offsets.push({ groupId, offset })
  }
}
