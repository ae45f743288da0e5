import { type Consumer, isMillraceError, type Logger } from '@millrace/core'
import type { Lease } from '../group/lease.ts'
import type { Outbox } from '../sending/outbox.ts'
import { SharedOutput } from '../sending/shared-output.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import type { Stretch } from '../tasks/changelog-tail.ts'
import type { StrayRows } from '../tasks/stray-rows.ts'
import type { TaskRuntime, TaskState } from '../tasks/task-runtime.ts'
import type { Cut } from './cut.ts'
import type { Guarantee } from './guarantee.ts'

export interface AtLeastOnceDeps {
  readonly outbox: Outbox
  readonly consumer: Pick<Consumer, 'commit'>
  readonly lease: Lease
  readonly strayRows: Pick<StrayRows, 'look'>
  readonly log: Logger
}

/** Offsets are committed by the consumer once everything before them is on the broker. */
export class AtLeastOnce implements Guarantee {
  readonly #deps: AtLeastOnceDeps

  constructor(deps: AtLeastOnceDeps) {
    this.#deps = deps
  }

  output(taskId: string): TaskOutput {
    return new SharedOutput(taskId, this.#deps.outbox)
  }

  /** Tasks that are complete at the same time share one commit. */
  commitGroup(): string {
    return 'all'
  }

  async fence(): Promise<void> {}

  async before(): Promise<void> {}

  isReady(): boolean {
    return true
  }

  async commit(cuts: readonly Cut[]): Promise<readonly Cut[]> {
    const { lease, consumer, log } = this.#deps
    const offsets = cuts.flatMap((cut) =>
      cut.offsets.map(({ topic, partition, offset, metadata }) => ({ topic, partition, offset, metadata })),
    )
    if (offsets.length === 0) return cuts
    if (!lease.valid) return []
    try {
      await consumer.commit(offsets)
      return cuts
    } catch (thrown) {
      // The driver tells the loss as well, and rejoins: what was not committed is handled by its next owner.
      if (!isMillraceError(thrown, 'MEMBER_FENCED', 'NOT_ASSIGNED')) throw thrown
      log.debug({ code: thrown.code }, 'A commit came too late: the partitions are no longer here.')
      return []
    }
  }

  strayed(task: TaskRuntime, state: TaskState, stretch: Stretch): void {
    this.#deps.strayRows.look(task, state, stretch)
  }

  after(): void {}

  async release(): Promise<void> {}

  /** The outbox is the worker's, which resumes it. */
  resume(): void {}
}
