import { type CommitOffset, isMillraceError, type Logger } from '@millrace/core'
import type { Consumer } from '@millrace/core/driver'
import type { Lease } from '../environment/lease.ts'
import type { Outgoing } from './outgoing.ts'
import type { RecordCollector } from './record-collector.ts'
import type { CommitGroup, TaskOutput } from './task-output.ts'
import { Epoch, type EpochOwner } from './epoch.ts'

/**
 * Commits offsets through the consumer once everything before them is on the broker: one commit for all tasks that are
 * ready.
 */
export class SharedCommits implements CommitGroup {
  readonly #consumer: Pick<Consumer, 'commit'>
  readonly #lease: Pick<Lease, 'valid'>
  readonly #log: Logger

  constructor(consumer: Pick<Consumer, 'commit'>, lease: Pick<Lease, 'valid'>, log: Logger) {
    this.#consumer = consumer
    this.#lease = lease
    this.#log = log
  }

  async commit(offsets: readonly CommitOffset[]): Promise<boolean> {
    if (offsets.length === 0) return true
    if (!this.#lease.valid) return false
    try {
      await this.#consumer.commit(offsets)
      return true
    } catch (thrown) {
      // The driver reports the loss as well, and rejoins: the next owner handles the uncommitted events.
      if (!isMillraceError(thrown, 'MEMBER_FENCED', 'NOT_ASSIGNED')) throw thrown
      this.#log.debug({ code: thrown.code }, 'A commit came too late: its partitions are no longer here.')
      return false
    }
  }
}

/**
 * The output of a task at least once: records go out through the worker's one record collector as soon as their event
 * finishes.
 */
export class SharedOutput implements TaskOutput {
  readonly group: CommitGroup
  readonly transactional = false
  readonly failures = 0
  readonly #task: EpochOwner
  readonly #collector: Pick<RecordCollector, 'add'>
  #epoch: Epoch
  /** The epoch of the last commit, which may still wait for it. */
  #sealed: Epoch | undefined = undefined

  constructor(task: EpochOwner, collector: Pick<RecordCollector, 'add'>, group: CommitGroup) {
    this.#task = task
    this.#collector = collector
    this.group = group
    this.#epoch = new Epoch(undefined, task)
  }

  get pending(): number {
    return this.#epoch.pending + (this.#sealed?.pending ?? 0)
  }

  async fence(): Promise<void> {}

  add(record: Outgoing): void {
    record.epoch = this.#epoch
    this.#epoch.added()
    this.#collector.add(record)
  }

  seal(): Promise<void> {
    this.#sealed = this.#epoch
    this.#epoch = new Epoch(this.#sealed, this.#task)
    return this.#sealed.seal()
  }

  release(): void {}

  abandon(error: Error): void {
    this.#sealed?.abandon(error)
    this.#epoch.abandon(error)
  }

  async close(): Promise<void> {}
}
