import { isMillraceError, type Scheduled, toError } from '@millrace/core'
import { DRAINING } from '../environment/not-now.ts'
import { RENEW_CHECKPOINT_MS } from '../restore/restore-plan.ts'
import type { CommitGroup } from '../sending/task-output.ts'
import type { LateRows } from './late-rows.ts'
import { storeChange, type TaskCommit } from './task-state.ts'
import type { TaskWorker } from './task-worker.ts'
import type { Task } from './task.ts'

/** Tasks are due in so many groups over an interval, each group with one commit. */
const STAGGER = 8

/** How often a task that is to become whole is looked at. */
const WHOLE_INTERVAL_MS = 1

/** Somebody who wants to know of commits. */
export interface CommitListener {
  /** Positions have moved. */
  positionsMoved(): void
}

/** Commits whose sends and rows are all on the broker, and that are made together. */
interface Batch {
  readonly commits: Map<Task, TaskCommit>
  /** Those tasks of it whose offsets are committed and whose rows are stored. */
  readonly done: Promise<ReadonlySet<Task>>
}

/**
 * Commits tasks when they are due, each for itself and one commit of a task at a time. Five steps, which `#commit` and
 * `#commitBatch` go through in this order:
 *
 *     1 prepare    positions and changed rows of exactly the finished events, in one turn of the event loop
 *     2 send       the rows, and the sends of those events, go to the broker
 *     3 wait       until the broker has all of them
 *     4 commit     the offsets, together with what else of the commit group has come as far meanwhile
 *     5 store      rows and checkpoints
 *
 * So a task whose rows the broker does not take holds up no other. A task in which nothing happened is not looked at.
 */
export class Committer {
  readonly #worker: TaskWorker<Task>
  readonly #lateRows: LateRows
  readonly #listener: CommitListener
  /** Tasks with something to commit, and when they are due on the monotonic clock. */
  readonly #due = new Map<Task, number>()
  #timer: { readonly scheduled: Scheduled; readonly atMs: number } | undefined
  /** The commits under way of a task, the last of them to wait for. */
  readonly #underWay = new Map<Task, { last: Promise<void>; count: number }>()
  /** What goes into the next commit of a group. */
  readonly #gathering = new Map<CommitGroup, Batch>()
  /** Resolves when the commit of a group that is under way is over. */
  readonly #committing = new Map<CommitGroup, Promise<void>>()
  /** Their checkpoints are looked at after the next commit. */
  readonly #toRenew = new Set<Task>()
  #renewal: Scheduled | undefined
  #stopped = false
  #count = 0
  #lastMs = 0

  constructor(worker: TaskWorker<Task>, lateRows: LateRows, listener: CommitListener) {
    this.#worker = worker
    this.#lateRows = lateRows
    this.#listener = listener
  }

  get stats(): { readonly count: number; readonly lastMs: number } {
    return { count: this.#count, lastMs: this.#lastMs }
  }

  get isBusy(): boolean {
    return this.#underWay.size > 0
  }

  /** The task has something for its next commit. */
  touched(task: Task): void {
    if (this.#due.has(task)) return
    const { clock, settings } = this.#worker.environment
    const intervalMs = settings.commitIntervalMs
    const phaseMs = ((task.partition % STAGGER) * intervalMs) / STAGGER
    const turns = Math.floor((clock.monotonic() - phaseMs) / intervalMs) + 1
    this.#setDue(task, turns * intervalMs + phaseMs)
  }

  /** The task should be committed now. */
  soon(task: Task): void {
    if (this.#due.get(task) !== -Infinity) this.#setDue(task, -Infinity)
  }

  /** From now on checkpoints are kept young, also where nothing is written. */
  start(): void {
    const renew = (): void => {
      for (const task of this.#worker.running) {
        this.#toRenew.add(task)
        this.touched(task)
      }
      this.#renewal = this.#worker.environment.clock.schedule(RENEW_CHECKPOINT_MS, renew)
    }
    if (!this.#stopped) this.#renewal = this.#worker.environment.clock.schedule(RENEW_CHECKPOINT_MS, renew)
  }

  /** A task is lost. */
  forget(task: Task): void {
    this.#due.delete(task)
    this.#toRenew.delete(task)
  }

  /** Commits these tasks, each after its commit under way. Rejects when one of them cannot be committed; the others go on. */
  async commit(tasks: readonly Task[]): Promise<void> {
    await Promise.all(tasks.map((task) => this.#commitInTurn(task)))
  }

  /** No more commits of its own accord. */
  stop(): void {
    this.#stopped = true
    this.#renewal?.cancel()
    this.#timer?.scheduled.cancel()
    this.#timer = undefined
  }

  #setDue(task: Task, atMs: number): void {
    this.#due.set(task, atMs)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#stopped || this.#due.size === 0) return
    let atMs = Infinity
    for (const [task, dueMs] of this.#due) if (dueMs < atMs && !this.#underWay.has(task)) atMs = dueMs
    if (atMs === Infinity) return
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return
    this.#timer?.scheduled.cancel()
    const { clock } = this.#worker.environment
    const fire = (): void => {
      this.#timer = undefined
      if (!this.#stopped) void this.#commitDue()
    }
    const delayMs = atMs - clock.monotonic()
    if (delayMs > 0) this.#timer = { scheduled: clock.schedule(delayMs, fire), atMs }
    else {
      const immediate = setImmediate(fire)
      this.#timer = { scheduled: { cancel: () => clearImmediate(immediate) }, atMs }
    }
  }

  async #commitDue(): Promise<void> {
    const now = this.#worker.environment.clock.monotonic()
    const tasks = [...this.#due].filter(([task, atMs]) => atMs <= now && !this.#underWay.has(task))
    // A timer may be a fraction of a millisecond early.
    if (tasks.length === 0) return this.#schedule()
    const done = this.commit(tasks.map(([task]) => task))
    // For those that are due later: these commits may take long.
    this.#schedule()
    try {
      await done
    } catch (thrown) {
      if (!isMillraceError(thrown, 'CLOSED')) this.#worker.fail(toError(thrown))
    }
  }

  #commitInTurn(task: Task): Promise<void> {
    const turns = this.#underWay.get(task) ?? { last: Promise.resolve(), count: 0 }
    this.#underWay.set(task, turns)
    turns.count++
    const done = turns.last.then(() => this.#commit(task))
    const settle = (): void => {
      turns.count--
      if (turns.count === 0) this.#underWay.delete(task)
      this.#schedule()
    }
    turns.last = done.then(settle, settle)
    return done
  }

  async #commit(task: Task): Promise<void> {
    this.#due.delete(task)
    if (!task.running) return
    if (!task.isWhole) await this.#makeWhole(task)
    try {
      if (!task.closed) {
        if (task.isWhole) await this.#commitPrepared(task, task.prepareCommit(this.#worker.environment.clock))
        else task.notCommitted()
      }
      if (this.#toRenew.delete(task)) await this.#renewCheckpoints(task)
    } finally {
      task.becomeWhole(false)
      task.output.release()
    }
  }

  async #commitPrepared(task: Task, commit: TaskCommit | undefined): Promise<void> {
    if (commit === undefined) return
    let done = false
    try {
      // A refusal ends the worker or opens the task again, by way of the record collector.
      const [outcome] = await Promise.allSettled([commit.acknowledged])
      if (outcome.status === 'fulfilled' && !task.closed) done = (await this.#join(task, commit).done).has(task)
    } finally {
      if (!done) task.notCommitted(commit)
    }
  }

  /** Puts it into the next commit of its group, which begins when the one before is over and this turn of the event loop ends. */
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
    const { environment, stores } = this.#worker
    const { clock, sensor } = environment
    const ofHere = (commits: Iterable<readonly [Task, TaskCommit]>): readonly (readonly [Task, TaskCommit])[] =>
      [...commits].filter(([task]) => !task.closed)
    const commits = ofHere(all)
    const offsets = commits.flatMap(([, commit]) =>
      commit.offsets.map(({ source: { topic, partition }, offset, metadata }) => ({
        topic,
        partition,
        offset,
        metadata,
      })),
    )
    if (commits.length === 0 || !(await group.commit(offsets))) return new Set()
    const here = ofHere(commits)
    if (here.length === 0) return new Set()
    const states = here.flatMap(([, commit]) => commit.states)
    await stores.commit(states.flatMap((rows) => storeChange(rows, clock.now())))
    for (const [task, commit] of here) {
      task.committed(commit, clock.monotonic())
      this.#lateRows.committed(task, commit)
    }
    this.#count++
    this.#lastMs = clock.monotonic() - Math.min(...here.map(([, { preparedMs }]) => preparedMs))
    const rows = states.reduce((sum, state) => sum + state.rows.length, 0)
    sensor.commitCompleted({ tasks: here.length, rows, durationMs: this.#lastMs })
    this.#worker.handOut.wake()
    this.#listener.positionsMoved()
    return new Set(here.map(([task]) => task))
  }

  /** What keeps a task from being committed is finished first, with nothing new handed out. */
  async #makeWhole(task: Task): Promise<void> {
    const { environment, handOut } = this.#worker
    task.becomeWhole(true)
    // In a rebalance nothing is handed out: then it cannot become whole, is not committed, and handled again if it is lost.
    handOut.becomingWhole(true)
    const late = this.#warnWhenLate(task)
    try {
      while (!task.closed && !task.isWhole && (handOut.blocked & DRAINING) === 0) {
        await task.whenIdle()
        // Idle may be between two events, or while one waits for its next attempt.
        await environment.clock.sleep(WHOLE_INTERVAL_MS)
      }
    } finally {
      late.cancel()
      handOut.becomingWhole(false)
    }
  }

  /** A transaction cannot wait for ever. */
  #warnWhenLate(task: Task): Scheduled {
    const { clock, log, settings } = this.#worker.environment
    const { transactionTimeoutMs } = settings
    return clock.schedule(transactionTimeoutMs / 2, () => {
      const why = task.spilling > 0 ? ', one of which has sent more than maxEventBytes' : ''
      log.warn(
        { task: task.id, inHand: task.describeInFlight() },
        `Task ${task.id} cannot be committed before its events in hand have finished${why}. After ${transactionTimeoutMs} ms (transactionTimeout) its transaction is given up, and all since the last commit is handled again.`,
      )
    })
  }

  /** What nobody else may write, the store has as of now. */
  async #renewCheckpoints(task: Task): Promise<void> {
    const { environment, lease, stores } = this.#worker
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

/** So that commits that are ready in the same turn are made together. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
