import {
  type Clock,
  type CommitOffset,
  isMillraceError,
  type OutgoingRecord,
  type Producer,
  type SendOptions,
  type SendOutcome,
  type Sensor,
  type TopicPartition,
  type TransactionalProducer,
} from '@millrace/core'
import type { Delays } from './delays.ts'
import { withinLimit } from '../worker/within-limit.ts'
import { Epoch } from './epoch.ts'
import { Outbox } from './outbox.ts'
import type { Outgoing } from './outgoing.ts'
import type { SendBudget } from './send-budget.ts'
import type { TaskOutput } from './task-output.ts'

/** How long the end of the last transaction of a task that is given up may take. */
const END_LIMIT_MS = 2000

export interface TransactionOutputDeps {
  readonly taskId: string
  readonly producer: TransactionalProducer
  readonly budget: SendBudget
  readonly clock: Clock
  readonly sensor: Pick<Sensor, 'sendCompleted'>
  readonly guard: () => void
  readonly delays: Delays
  readonly onHeld: () => void
  readonly onRefused: (record: Outgoing, error: Error) => void
  /** The transaction cannot go on. */
  readonly onBroken: (error: Error) => void
}

/**
 * Exactly once: records go out in the task's transaction, which begins with the first of them. From a seal until the commit
 * is over, records of events that finish meanwhile wait: they belong to the next transaction.
 */
export class TransactionOutput implements TaskOutput {
  readonly taskId: string
  delays = 0
  readonly #producer: TransactionalProducer
  readonly #budget: SendBudget
  readonly #clock: Clock
  readonly #outbox: Outbox
  #epoch = new Epoch(undefined, this)
  #sealed: Epoch | undefined = undefined
  /** Of the next transaction; `undefined` while records may go into this one. */
  #later: Outgoing[] | undefined = undefined
  #begun: Promise<void> | undefined = undefined
  #committing: Promise<void> | undefined = undefined
  #abandoned: Error | undefined

  constructor({ taskId, producer, budget, ...deps }: TransactionOutputDeps) {
    this.taskId = taskId
    this.#producer = producer
    this.#budget = budget
    this.#clock = deps.clock
    this.#outbox = new Outbox({ ...deps, budget, producer: new BegunProducer(producer, () => this.#begin()) })
  }

  get pending(): number {
    return this.#epoch.pending + (this.#sealed?.pending ?? 0)
  }

  /** Fences every earlier producer of the task. */
  init(): Promise<void> {
    return this.#producer.init()
  }

  add(record: Outgoing): void {
    record.epoch = this.#epoch
    this.#epoch.added()
    if (this.#abandoned !== undefined) return record.failed(this.#abandoned)
    if (this.#later === undefined) return this.#outbox.add(record)
    this.#later.push(record)
    this.#budget.take(record.size)
  }

  seal(): Promise<void> {
    this.#sealed = this.#epoch
    this.#epoch = new Epoch(this.#sealed, this)
    this.#later ??= []
    return this.#sealed.seal()
  }

  /** Commits what was sealed, with these offsets. After a rejection the output is of no use any more. */
  commit(groupId: string, offsets: readonly CommitOffset[]): Promise<void> {
    const committed = this.#commit(groupId, offsets)
    this.#committing = committed.then(over, over)
    return committed
  }

  async #commit(groupId: string, offsets: readonly CommitOffset[]): Promise<void> {
    await this.#begin()
    if (offsets.length > 0) await this.#producer.sendOffsets(groupId, offsets)
    this.#begun = undefined
    await this.#producer.commit()
  }

  /** The commit is over, or was given up: what has waited goes out. */
  release(): void {
    const later = this.#later ?? []
    this.#later = undefined
    for (const record of later) {
      this.#budget.give(record.size)
      if (this.#abandoned === undefined) this.#outbox.add(record)
      else record.failed(this.#abandoned)
    }
  }

  /** The lease is back. */
  resume(): void {
    this.#outbox.resume()
  }

  abandon(error: Error): void {
    this.#abandoned = error
    this.#sealed?.abandon(error)
    this.#epoch.abandon(error)
    this.release()
  }

  /**
   * Ends an open transaction, so that readers of its topics need not wait for its time-out. A coordinator that does not
   * answer is not waited for: the next owner's `init`, or the time-out, ends the transaction.
   */
  async close(): Promise<void> {
    this.#outbox.close()
    try {
      await withinLimit(this.#clock, END_LIMIT_MS, this.#end())
    } finally {
      await this.#producer.close()
    }
  }

  async #end(): Promise<void> {
    await this.#committing
    try {
      if (this.#begun !== undefined && this.#outbox.pending === 0) await this.#producer.abort()
    } catch (thrown) {
      // The next owner was quicker, and has ended it; or it was given up above.
      if (!isMillraceError(thrown, 'PRODUCER_FENCED', 'TRANSACTION_STATE', 'CLOSED')) throw thrown
    }
  }

  #begin(): Promise<void> {
    this.#begun ??= this.#producer.begin()
    return this.#begun
  }
}

/** For who only waits until it is over. */
function over(): void {}

/** A producer whose transaction begins with the first send. */
class BegunProducer implements Producer {
  readonly #producer: TransactionalProducer
  readonly #begin: () => Promise<void>

  constructor(producer: TransactionalProducer, begin: () => Promise<void>) {
    this.#producer = producer
    this.#begin = begin
  }

  partitions(topic: string): Promise<number> {
    return this.#producer.partitions(topic)
  }

  lane(partition: TopicPartition): number {
    return this.#producer.lane(partition)
  }

  async send(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]> {
    await this.#begin()
    return this.#producer.send(records, options)
  }

  close(): Promise<void> {
    return this.#producer.close()
  }
}
