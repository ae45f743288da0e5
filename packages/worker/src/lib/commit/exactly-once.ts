import {
  type Backoff,
  backoffMs,
  type Clock,
  type Consumer,
  isMillraceError,
  type Logger,
  type Scheduled,
  type Sensor,
  toError,
  type Transport,
} from '@millrace/core'
import type { Lease } from '../group/lease.ts'
import type { Delays } from '../sending/delays.ts'
import type { Outgoing } from '../sending/outgoing.ts'
import type { SendBudget } from '../sending/send-budget.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import { TransactionOutput } from '../sending/transaction-output.ts'
import { describeInHand } from '../tasks/describe-in-hand.ts'
import type { TaskRuntime } from '../tasks/task-runtime.ts'
import { type Cut, isWhole } from './cut.ts'
import type { Guarantee } from './guarantee.ts'

export interface ExactlyOnceDeps {
  readonly appId: string
  readonly transport: Pick<Transport, 'transactionalProducer'>
  readonly consumer: Pick<Consumer, 'lastHeartbeatMs'>
  readonly transactionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly budget: SendBudget
  readonly clock: Clock
  readonly log: Logger
  readonly sensor: Pick<Sensor, 'sendCompleted'>
  readonly lease: Lease
  /** False in a rebalance or a stop. */
  readonly canHandOut: () => boolean
  /** As `HandOutGate.finishing`. */
  readonly finishing: (on: boolean) => void
  readonly delays: Delays
  readonly onHeld: () => void
  readonly onRefused: (record: Outgoing, error: Error) => void
  /** The task's transaction has failed: it must be opened again whole. */
  readonly onTaskBroken: (taskId: string, output: TaskOutput, error: Error) => void
  /** It has failed for a reason that comes back each time. */
  readonly onBroken: (error: Error) => void
}

/** A new producer may get further. Anything else, a right that is missing or a setting of the broker, meets it as well. */
const PASSING = ['PRODUCER_FENCED', 'TRANSACTION_STATE', 'MEMBER_FENCED', 'NOT_ASSIGNED', 'LEASE_EXPIRED'] as const

/** Between two openings of a task whose transactions keep failing. The first is made at once. */
const REOPENING: Backoff = { firstMs: 100, mostMs: 10_000 }

/** How often a task that is to become whole is looked at. */
const WHOLE_LOOK_MS = 1

/**
 * Offsets, changelog rows and every send of a task's events go into one transaction, of a producer that belongs to the
 * task. Hand-out goes on during a cut: what finishes meanwhile goes into the next transaction.
 */
export class ExactlyOnce implements Guarantee {
  readonly #deps: ExactlyOnceDeps
  readonly #outputs = new Set<TransactionOutput>()
  /** By task id: transactions that failed since the last that was committed. */
  readonly #failures = new Map<string, number>()

  constructor(deps: ExactlyOnceDeps) {
    this.#deps = deps
  }

  /** Transactions of several tasks go side by side, and a slow one holds up no other. */
  commitGroup({ id }: TaskRuntime): string {
    return id
  }

  output(taskId: string): TaskOutput {
    const { appId, transport, transactionTimeoutMs, budget, delays, clock, sensor, lease, onHeld } = this.#deps
    const { onRefused } = this.#deps
    const output: TransactionOutput = new TransactionOutput({
      taskId,
      producer: transport.transactionalProducer({ id: `${appId}-${taskId}`, timeoutMs: transactionTimeoutMs }),
      budget,
      delays,
      clock,
      sensor,
      guard: lease.check,
      onHeld,
      onRefused,
      onBroken: (error) => this.#broken(taskId, output, error),
    })
    this.#outputs.add(output)
    return output
  }

  /**
   * Only while the group is heard of in this generation: a worker that has slept since it was given the task would shut
   * out the rightful owner.
   */
  async fence(tasks: readonly TaskRuntime[], heardSinceMs: number): Promise<void> {
    await Promise.all(tasks.map((task) => this.#unlessLost(task, () => this.#fenceOne(task, heardSinceMs))))
  }

  /** What keeps a task from being committed is finished first, with nothing new handed out. */
  async before(task: TaskRuntime): Promise<void> {
    const { clock, canHandOut, finishing } = this.#deps
    if (this.isReady(task)) return
    task.takeNoMore(true)
    // In a rebalance nothing is handed out: then it cannot get ready, is not committed, and handled again if it is lost.
    finishing(true)
    const late = this.#warnWhenLate(task)
    try {
      while (!task.closed && !this.isReady(task) && canHandOut()) {
        await task.whenIdle()
        // Idle may be between two events, or while one waits for its next attempt.
        await clock.sleep(WHOLE_LOOK_MS)
      }
    } finally {
      late.cancel()
      finishing(false)
    }
  }

  /**
   * Everything finished must fit into the commit's metadata. And what an unfinished event has sent before its end is in the
   * transaction, to be taken back with it when the event fails: until it has finished nothing of the task is committed.
   */
  isReady(task: TaskRuntime): boolean {
    return task.spilling === 0 && isWhole(task)
  }

  async commit(cuts: readonly Cut[]): Promise<readonly Cut[]> {
    const outcomes = await Promise.all(cuts.map((cut) => this.#commitOne(cut)))
    return cuts.filter((_, i) => outcomes[i])
  }

  /** Only marks of transactions: the rows of another could not be committed. */
  strayed(): void {}

  after(task: TaskRuntime): void {
    task.takeNoMore(false)
    this.#outputOf(task)?.release()
  }

  async release(task: TaskRuntime): Promise<void> {
    const output = this.#outputOf(task)
    if (output === undefined) return
    this.#outputs.delete(output)
    await output.close()
  }

  resume(): void {
    for (const output of this.#outputs) output.resume()
  }

  /** Not for ever can a transaction wait. */
  #warnWhenLate(task: TaskRuntime): Scheduled {
    const { clock, log, transactionTimeoutMs } = this.#deps
    return clock.schedule(transactionTimeoutMs / 2, () => {
      const why = task.spilling > 0 ? ', one of which has sent more than maxEventBytes' : ''
      log.warn(
        { task: task.id, inHand: describeInHand([task]) },
        `Task ${task.id} cannot be committed before its events in hand have finished${why}. After ${transactionTimeoutMs} ms (transactionTimeout) its transaction is given up, and all since the last commit is handled again.`,
      )
    })
  }

  async #fenceOne(task: TaskRuntime, heardSinceMs: number): Promise<void> {
    const { consumer, clock, heartbeatIntervalMs, lease } = this.#deps
    const failures = this.#failures.get(task.id) ?? 0
    if (failures > 1) await clock.sleep(backoffMs(failures - 1, REOPENING, Math.random()), task.signal)
    while (!task.closed && !(lease.valid && consumer.lastHeartbeatMs() >= heardSinceMs))
      await clock.sleep(heartbeatIntervalMs / 2, task.signal)
    if (task.closed) return
    try {
      await this.#outputOf(task)?.init()
    } catch (thrown) {
      this.#failures.set(task.id, failures + 1)
      throw thrown
    }
  }

  /** A task that is lost on the way fails at any point; the tasks that it was given with go on. */
  async #unlessLost(task: TaskRuntime, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (thrown) {
      if (!task.closed) throw thrown
    }
  }

  async #commitOne(cut: Cut): Promise<boolean> {
    const { appId, lease, log } = this.#deps
    const output = this.#outputOf(cut.task)
    if (output === undefined || !lease.valid) return false
    try {
      await output.commit(
        appId,
        cut.offsets.map(({ topic, partition, offset, metadata }) => ({ topic, partition, offset, metadata })),
      )
      this.#failures.delete(cut.task.id)
      return true
    } catch (thrown) {
      const error = toError(thrown)
      log.debug({ task: cut.task.id, error: error.message }, 'A transaction was not committed.')
      if (!isMillraceError(error, 'CLOSED')) this.#broken(cut.task.id, output, error)
      return false
    }
  }

  #broken(taskId: string, output: TransactionOutput, error: Error): void {
    // Of a task that is lost: that is told elsewhere.
    if (!this.#outputs.has(output)) return
    if (!isMillraceError(error, ...PASSING)) return this.#deps.onBroken(error)
    this.#failures.set(taskId, (this.#failures.get(taskId) ?? 0) + 1)
    this.#deps.onTaskBroken(taskId, output, error)
  }

  #outputOf({ output }: TaskRuntime): TransactionOutput | undefined {
    return output instanceof TransactionOutput && this.#outputs.has(output) ? output : undefined
  }
}
