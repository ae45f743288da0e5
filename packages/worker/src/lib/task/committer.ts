import { isMillraceError, type Scheduled, toError } from '@millrace/core'
import { RENEW_CHECKPOINT_MS } from '../restore/restore-plan.ts'
import type { Commits } from './commit.ts'
import { type RowsOwner, tasksToCommit } from './row-budget.ts'
import type { Tasks } from './tasks.ts'
import type { Task } from './task.ts'

/**
 * Tasks are divided into this many groups, which are due one after the other within an interval. Each group shares a
 * commit.
 */
const STAGGER = 8

/** Commits tasks when they are due, one commit of a task at a time. A task in which nothing happened is left alone. */
export class Committer implements RowsOwner {
  readonly #tasks: Tasks
  readonly #commits: Commits
  /** Tasks with something to commit, and when they are due on the monotonic clock. */
  readonly #due = new Map<Task, number>()
  #timer: { readonly scheduled: Scheduled; readonly atMs: number } | undefined
  /** How many commits of a task are under way, and the last of them, which the next one waits for. */
  readonly #underWay = new Map<Task, { last: Promise<void>; count: number }>()
  /** Tasks whose checkpoints are checked after their next commit. */
  readonly #toRenew = new Set<Task>()
  #renewal: Scheduled | undefined
  #stopped = false

  constructor(tasks: Tasks, commits: Commits) {
    this.#tasks = tasks
    this.#commits = commits
  }

  get isBusy(): boolean {
    return this.#underWay.size > 0
  }

  /** Schedules a commit, because the task has something for it. */
  touched(task: Task): void {
    if (this.#due.has(task)) return
    const { clock, settings } = this.#tasks.environment
    const intervalMs = settings.commitIntervalMs
    const phaseMs = ((task.partition % STAGGER) * intervalMs) / STAGGER
    const turns = Math.floor((clock.monotonic() - phaseMs) / intervalMs) + 1
    this.#setDue(task, turns * intervalMs + phaseMs)
  }

  /** Commits the task now. */
  soon(task: Task): void {
    if (this.#due.get(task) !== -Infinity) this.#setDue(task, -Infinity)
  }

  /** Makes room for changed rows. */
  commitLargest(): void {
    const { running, environment } = this.#tasks
    for (const task of tasksToCommit(running, environment.settings.cacheBytes / 4)) this.soon(task)
  }

  /** From now on checkpoints are renewed, even of tasks in which nothing is written. */
  start(): void {
    const renew = (): void => {
      for (const task of this.#tasks.running) {
        this.#toRenew.add(task)
        this.touched(task)
      }
      this.#renewal = this.#tasks.environment.clock.schedule(RENEW_CHECKPOINT_MS, renew)
    }
    if (!this.#stopped) this.#renewal = this.#tasks.environment.clock.schedule(RENEW_CHECKPOINT_MS, renew)
  }

  /** Called when a task is lost. */
  forget(task: Task): void {
    this.#due.delete(task)
    this.#toRenew.delete(task)
  }

  /**
   * Commits these tasks, each after its commit under way. Rejects if one of them cannot be committed; the others are
   * committed all the same.
   */
  async commit(tasks: readonly Task[]): Promise<void> {
    await Promise.all(tasks.map((task) => this.#commitInTurn(task)))
  }

  /** Starts no more scheduled commits. */
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
    const { clock } = this.#tasks.environment
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
    const now = this.#tasks.environment.clock.monotonic()
    const tasks = [...this.#due].filter(([task, atMs]) => atMs <= now && !this.#underWay.has(task))
    // A timer may be a fraction of a millisecond early.
    if (tasks.length === 0) return this.#schedule()
    const done = this.commit(tasks.map(([task]) => task))
    // Schedules those that are due later now, because these commits may take long.
    this.#schedule()
    try {
      await done
    } catch (thrown) {
      if (!isMillraceError(thrown, 'CLOSED')) this.#tasks.fail(toError(thrown))
    }
  }

  #commitInTurn(task: Task): Promise<void> {
    const turns = this.#underWay.get(task) ?? { last: Promise.resolve(), count: 0 }
    this.#underWay.set(task, turns)
    turns.count++
    const done = turns.last.then(() => {
      this.#due.delete(task)
      return this.#commits.run(task, this.#toRenew.delete(task))
    })
    const settle = (): void => {
      turns.count--
      if (turns.count === 0) this.#underWay.delete(task)
      this.#schedule()
    }
    turns.last = done.then(settle, settle)
    return done
  }
}
