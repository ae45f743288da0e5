import { endOfTurn, type Scheduled } from '@millrace/core'
import { DRAINING } from '../environment/not-now.ts'
import { RENEW_CHECKPOINT_MS } from '../restore/restore-plan.ts'
import type { CommitGroup } from '../sending/task-output.ts'
import type { RepartitionPurge } from '../topics/repartition-purge.ts'
import type { LateRows } from './late-rows.ts'
import type { ProgressTopic } from './progress-topic.ts'
import type { Task } from './task.ts'
import { changedOffsetsOf, commitDone, prepareCommit, type TaskCommit } from './task-commit.ts'
import { storeChange } from './task-state.ts'
import type { Tasks } from './tasks.ts'

/** Commits that are made together, and whose sends and rows are all on the broker. */
interface Batch {
  readonly commits: Map<Task, TaskCommit>
  /** Resolves to the tasks whose offsets are committed and whose rows are stored. */
  readonly done: Promise<ReadonlySet<Task>>
}

/**
 * Commits a task, in five steps:
 *
 *     1 prepare    positions and changed rows of exactly the finished events, in one turn of the event loop
 *     2 send       the rows, and the sends of those events, go to the broker
 *     3 wait       until the broker has all of them
 *     4 commit     the offsets, together with the other commits of the group that have got this far
 *     5 store      rows and checkpoints
 *
 * Because commits join only here, a task whose rows the broker does not accept delays no other task.
 */
export class Commits {
  readonly #tasks: Tasks
  readonly #lateRows: LateRows
  readonly #progress: ProgressTopic
  readonly #purge: Pick<RepartitionPurge, 'start'>
  /** The contents of a group's next commit. */
  readonly #gathering = new Map<CommitGroup, Batch>()
  /** The commit under way of each group; resolves when it is over. */
  readonly #committing = new Map<CommitGroup, Promise<void>>()
  #count = 0
  #lastMs = 0

  constructor(
    tasks: Tasks,
    {
      lateRows,
      progress,
      purge,
    }: {
      readonly lateRows: LateRows
      readonly progress: ProgressTopic
      readonly purge: Pick<RepartitionPurge, 'start'>
    },
  ) {
    this.#tasks = tasks
    this.#lateRows = lateRows
    this.#progress = progress
    this.#purge = purge
  }

  get stats(): { readonly count: number; readonly lastMs: number } {
    return { count: this.#count, lastMs: this.#lastMs }
  }

  /** `renew` also renews the task's checkpoints. Rejects if the task cannot be committed. */
  async run(task: Task, renew: boolean): Promise<void> {
    if (!task.running) return
    try {
      if (!task.committable.now) await this.#waitForSpilled(task)
      await this.#commitPrepared(task, await this.#prepare(task))
      if (renew) await this.#renewCheckpoints(task)
    } finally {
      task.holdForCommit(false)
      task.output.release()
    }
  }

  /** `undefined` if there is nothing to commit, or nothing can be committed yet. */
  async #prepare(task: Task): Promise<TaskCommit | undefined> {
    const { appId, clock } = this.#tasks.environment
    while (!task.closed && task.committable.now) {
      const changed = changedOffsetsOf(task, appId)
      if (this.#progress.isThere || changed.every(({ overflow }) => overflow === undefined))
        return prepareCommit(task, changed, { clock, progress: this.#progress })
      if (!(await this.#progress.provide())) break
    }
    task.notCommitted()
    return undefined
  }

  async #commitPrepared(task: Task, commit: TaskCommit | undefined): Promise<void> {
    if (commit === undefined) return
    let done = false
    try {
      // The record collector handles a refusal: it ends the worker or reopens the task.
      const [outcome] = await Promise.allSettled([commit.acknowledged])
      if (outcome.status === 'fulfilled' && !task.closed) done = (await this.#join(task, commit).done).has(task)
    } finally {
      if (!done) task.notCommitted(commit)
    }
  }

  /**
   * Adds the commit to the next one of its group, which begins when the commit before it is over and this turn of the
   * event loop ends.
   */
  #join(task: Task, commit: TaskCommit): Batch {
    const { group } = task.output
    const gathering = this.#gathering.get(group)
    if (gathering !== undefined) {
      gathering.commits.set(task, commit)
      return gathering
    }
    const commits = new Map([[task, commit]])
    const before = this.#committing.get(group) ?? Promise.resolve()
    const done = before.then(endOfTurn).then(() => {
      this.#gathering.delete(group)
      return this.#commitBatch(group, commits)
    })
    const over = (): void => {
      if (this.#committing.get(group) === committing) this.#committing.delete(group)
    }
    const committing = done.then(over, over)
    this.#committing.set(group, committing)
    const batch = { commits, done }
    this.#gathering.set(group, batch)
    return batch
  }

  async #commitBatch(group: CommitGroup, all: ReadonlyMap<Task, TaskCommit>): Promise<ReadonlySet<Task>> {
    const { environment, stores } = this.#tasks
    const { clock, sensor } = environment
    const ofHere = (commits: Iterable<readonly [Task, TaskCommit]>): readonly (readonly [Task, TaskCommit])[] =>
      [...commits].filter(([task]) => !task.closed)
    const commits = ofHere(all)
    const offsets = commits.flatMap(([, commit]) =>
      commit.offsets.map(({ source: { topic, partition }, offset, metadata, pages }) => ({
        topic,
        partition,
        offset,
        metadata: pages?.metadata ?? metadata,
      })),
    )
    if (commits.length === 0 || !(await group.commit(offsets))) return new Set()
    const here = ofHere(commits)
    if (here.length === 0) return new Set()
    const states = here.flatMap(([, commit]) => commit.states)
    await stores.commit(states.flatMap((rows) => storeChange(rows, clock.now())))
    for (const [task, commit] of here) {
      commitDone(task, commit, clock.monotonic())
      this.#lateRows.committed(task, commit)
    }
    this.#count++
    this.#lastMs = clock.monotonic() - Math.min(...here.map(([, { preparedMs }]) => preparedMs))
    const rows = states.reduce((sum, state) => sum + state.rows.length, 0)
    sensor.commitCompleted({ tasks: here.length, rows, durationMs: this.#lastMs })
    this.#tasks.handOut.wake()
    this.#purge.start()
    return new Set(here.map(([task]) => task))
  }

  /**
   * Waits for events whose sends are in the transaction before the events have finished; no new ones are handed out
   * meanwhile. It does not wait during a rebalance or a stop, which wait for all events in flight themselves, within
   * their own limits. The next owner handles again what cannot be committed afterwards.
   */
  async #waitForSpilled(task: Task): Promise<void> {
    const { handOut } = this.#tasks
    if ((handOut.blocked & DRAINING) !== 0) return
    task.holdForCommit(true)
    const late = this.#warnWhenLate(task)
    try {
      await task.committable.wait()
    } finally {
      late.cancel()
    }
  }

  /** Warns in time, because the broker ends a transaction after its time-out. */
  #warnWhenLate(task: Task): Scheduled {
    const { clock, log, settings } = this.#tasks.environment
    const { transactionTimeoutMs } = settings
    return clock.schedule(transactionTimeoutMs / 2, () => {
      log.warn(
        { task: task.id, inFlight: task.describeInFlight() },
        `Task ${task.id} cannot be committed until an event in flight that has sent more than maxEventBytes finishes. After ${transactionTimeoutMs} ms (transactionTimeout) its transaction is aborted, and everything since the last commit is handled again.`,
      )
    })
  }

  /**
   * A task that runs under a valid lease is the only writer of its changelogs, so its stores are complete as of now.
   */
  async #renewCheckpoints(task: Task): Promise<void> {
    const { environment, lease, stores } = this.#tasks
    if (task.closed || !lease.valid) return
    const wallTimeMs = environment.clock.now()
    await stores.commit(
      task.states.flatMap(({ store }) => {
        const checkpoint = store.checkpoint()
        const isOld = checkpoint !== undefined && wallTimeMs - checkpoint.wallTimeMs > RENEW_CHECKPOINT_MS / 2
        return isOld ? [{ partition: store, rows: [], checkpoint: { ...checkpoint, wallTimeMs } }] : []
      }),
    )
  }
}
