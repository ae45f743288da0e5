import { type Backoff, backoffMs, type CommitOffset, isMillraceError, toError, withinLimit } from '@millrace/core'
import type { TransactionalProducer, Transport } from '@millrace/core/driver'
import type { Lease } from '../environment/lease.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { Outgoing } from './outgoing.ts'
import { type CollectorOwner, RecordCollector } from './record-collector.ts'
import { type Sending, WAITING_SHARE } from './send-budget.ts'
import type { CommitGroup, TaskOutput } from './task-output.ts'
import { Epoch, type EpochOwner } from './epoch.ts'

/** How long ending the last transaction of a task may take when the task is closed. */
const END_LIMIT_MS = 2000

/** The pauses between openings of a task whose transactions keep failing. The first reopening has none. */
const REOPENING: Backoff = { firstMs: 100, mostMs: 10_000 }

/**
 * Errors that a new producer may get past. Any other error, such as a missing right or a broker setting, would meet it
 * as well.
 */
const PASSING = ['PRODUCER_FENCED', 'TRANSACTION_STATE', 'MEMBER_FENCED', 'NOT_ASSIGNED', 'LEASE_EXPIRED'] as const

/** The task to which a transaction belongs. */
export interface TransactionTask extends EpochOwner, Pick<CollectorOwner, 'refused'> {
  /** Aborts when the task is lost. */
  readonly signal: AbortSignal
  /** While true, sends of its finished events that wait for a commit are at their bound. */
  holdForSends(on: boolean): void
  /** Called when its transaction cannot continue: the task is reopened from its last commit. */
  reopen(reason: string): void
  /** Called when a retry would fail again, so the worker ends. */
  fail(error: Error): void
}

/**
 * The output of a task exactly once: offsets, changelog rows and every send of its events go out in one transaction,
 * which begins with the first of them. Between a seal and the end of its commit, records of finishing events wait,
 * because they belong to the next transaction. They do not count for the shared budget, because transactions of several
 * tasks run concurrently. A task whose commit takes long only holds itself up when too much waits for it (decision
 * 093).
 */
export class TransactionOutput implements TaskOutput, CommitGroup, CollectorOwner {
  readonly group: CommitGroup = this
  readonly transactional = true
  readonly #environment: Pick<WorkerEnvironment, 'appId' | 'clock' | 'log' | 'settings'>
  readonly #task: TransactionTask
  readonly #sending: Sending & { readonly lease: Lease }
  readonly #producer: TransactionalProducer
  readonly #collector: RecordCollector
  #epoch: Epoch
  #sealed: Epoch | undefined = undefined
  /** Records for the next transaction; `undefined` while records may go into the current one. */
  #later: Outgoing[] | undefined = undefined
  #laterBytes = 0
  #begun: Promise<void> | undefined = undefined
  #committing: Promise<void> | undefined = undefined
  #abandoned: Error | undefined
  /** How many transactions of the task have failed since the last one that was committed. */
  #failures: number

  constructor(
    environment: Pick<WorkerEnvironment, 'appId' | 'clock' | 'log' | 'settings'> & {
      readonly transport: Pick<Transport, 'transactionalProducer'>
    },
    sending: Sending & { readonly lease: Lease },
    { task, failures }: { readonly task: TransactionTask; readonly failures: number },
  ) {
    const { appId, settings, transport } = environment
    this.#environment = environment
    this.#sending = sending
    this.#task = task
    this.#failures = failures
    this.#epoch = new Epoch(undefined, task)
    this.#producer = transport.transactionalProducer({
      id: `${appId}-${task.id}`,
      timeoutMs: settings.transactionTimeoutMs,
    })
    this.#collector = new RecordCollector(this.#producer, sending, this)
  }

  get pending(): number {
    return this.#epoch.pending + (this.#sealed?.pending ?? 0)
  }

  get failures(): number {
    return this.#failures
  }

  /**
   * Waits for a sign of life from the group in this generation, because a worker that was suspended since its
   * assignment would fence the rightful owner.
   */
  async fence(heardSinceMs: number): Promise<void> {
    const { clock, settings } = this.#environment
    const { lease } = this.#sending
    const { signal } = this.#task
    if (this.#failures > 1) await clock.sleep(backoffMs(this.#failures - 1, REOPENING, Math.random()), signal)
    while (!signal.aborted && !(lease.valid && lease.lastHeartbeatMs >= heardSinceMs))
      await clock.sleep(settings.heartbeatIntervalMs / 2, signal)
    if (signal.aborted) return
    try {
      await this.#producer.init()
    } catch (thrown) {
      this.#failures++
      throw thrown
    }
  }

  add(record: Outgoing): void {
    record.epoch = this.#epoch
    this.#epoch.added()
    if (this.#abandoned !== undefined) return record.failed(this.#abandoned)
    if (this.#later === undefined) return this.#collector.add(record)
    this.#later.push(record)
    const before = this.#laterBytes
    this.#laterBytes += record.size
    const most = this.#sending.budget.maxBytes * WAITING_SHARE
    if (before <= most && this.#laterBytes > most) this.#task.holdForSends(true)
  }

  seal(): Promise<void> {
    this.#sealed = this.#epoch
    this.#epoch = new Epoch(this.#sealed, this.#task)
    this.#later ??= []
    return this.#sealed.seal()
  }

  /** A failure reopens the task or ends the worker, so this output is of no use any more. */
  async commit(offsets: readonly CommitOffset[]): Promise<boolean> {
    if (this.#abandoned !== undefined || !this.#sending.lease.valid) return false
    const committed = this.#commit(offsets)
    this.#committing = committed.then(over, over)
    try {
      await committed
      this.#failures = 0
      return true
    } catch (thrown) {
      const error = toError(thrown)
      this.#sending.transactions.aborted++
      this.#environment.log.debug({ task: this.#task.id, error: error.message }, 'A transaction was not committed.')
      if (!isMillraceError(error, 'CLOSED')) this.broken(error)
      return false
    }
  }

  /** Begins the transaction, with its first request. */
  begin(): Promise<void> {
    return (this.#begun ??= this.#producer.begin())
  }

  refused(record: Outgoing, error: Error): void {
    this.#task.refused(record, error)
  }

  broken(error: Error): void {
    this.#failures++
    if (isMillraceError(error, ...PASSING)) this.#task.reopen(error.message)
    else this.#task.fail(error)
  }

  /** Sends the records that waited for the commit. */
  release(): void {
    const later = this.#later ?? []
    this.#later = undefined
    this.#laterBytes = 0
    this.#task.holdForSends(false)
    for (const record of later) {
      if (this.#abandoned === undefined) this.#collector.add(record)
      else record.failed(this.#abandoned)
    }
  }

  abandon(error: Error): void {
    this.#abandoned = error
    this.#sealed?.abandon(error)
    this.#epoch.abandon(error)
    this.release()
  }

  /**
   * Ends an open transaction, so that readers of its topics need not wait for its time-out. It does not wait for a
   * coordinator that does not answer: the next owner's `init`, or the time-out, then ends the transaction.
   */
  async close(): Promise<void> {
    this.#collector.close()
    try {
      await withinLimit(this.#environment.clock, END_LIMIT_MS, this.#end())
    } finally {
      await this.#producer.close()
    }
  }

  async #commit(offsets: readonly CommitOffset[]): Promise<void> {
    await this.begin()
    if (offsets.length > 0) await this.#producer.sendOffsets(this.#environment.appId, offsets)
    this.#begun = undefined
    await this.#producer.commit()
  }

  async #end(): Promise<void> {
    await this.#committing
    // Even if this attempt fails, the next owner of its id or the broker aborts it.
    if (this.#begun !== undefined) this.#sending.transactions.aborted++
    try {
      if (this.#begun !== undefined && this.#collector.pending === 0) await this.#producer.abort()
    } catch (thrown) {
      // The next owner has ended the transaction already, or it has timed out.
      if (!isMillraceError(thrown, 'PRODUCER_FENCED', 'TRANSACTION_STATE', 'CLOSED')) throw thrown
    }
  }
}

/** A callback for those who only wait until the commit is over. */
function over(): void {}
