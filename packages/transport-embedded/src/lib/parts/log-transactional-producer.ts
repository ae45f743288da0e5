import {
  MillraceError,
  type CommitOffset,
  type OutgoingRecord,
  type SendOptions,
  type SendOutcome,
  type TopicPartition,
  type TransactionalProducer,
} from '@millrace/core'
import { applyAppend, planAppend } from '../log/plan-append.ts'
import type { LogReads } from '../log/log-backend.ts'
import { checkCommit } from './check-offset.ts'
import { Lifespan } from './lifespan.ts'
import { partitionCount } from './log-producer.ts'
import type { OpenStateOptions } from './part-context.ts'
import { TransactionBuffer } from './transaction-buffer.ts'

/**
 * Keeps a transaction in memory and writes all of it at its commit, so the log never holds uncommitted records. The
 * offsets told by `send` are those the records get if nobody else writes to their partitions before the commit.
 */
export class LogTransactionalProducer implements TransactionalProducer {
  readonly #id: string
  readonly #context: OpenStateOptions
  readonly #lifespan: Lifespan
  #epoch: number | undefined
  #transaction: TransactionBuffer | undefined

  constructor(id: string, context: OpenStateOptions) {
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

  lane(_partition: TopicPartition): number {
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
