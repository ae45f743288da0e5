import { type Clock, isMillraceError, type Scheduled, type Sensor, toError } from '@millrace/core'
import type { TaskRuntime } from '../tasks/task-runtime.ts'
import type { TaskStores } from '../tasks/task-stores.ts'
import { type CommittedText, type Cut, rowsOf, storeChanges, takeCut, textOf } from './cut.ts'
import type { Guarantee } from './guarantee.ts'

/** Tasks are due in so many groups over an interval, each group with one commit. */
const STAGGER = 8

export interface CommitterDeps {
  readonly clock: Clock
  readonly intervalMs: number
  readonly stores: TaskStores
  readonly guarantee: Guarantee
  readonly sensor: Pick<Sensor, 'commitCompleted'>
  /** Positions moved: hand-out that had stopped for them may go on. */
  readonly onCommitted: (tasks: readonly TaskRuntime[]) => void
  /** Something that waiting cannot mend. */
  readonly onBroken: (error: Error) => void
}

/**
 * Cuts tasks when they are due, one cut of a lane at a time: snapshot of positions, changed rows on their way, wait for the broker,
 * commit, store. A task in which nothing happened is not looked at.
 */
export class Committer {
  readonly #deps: CommitterDeps
  /** Tasks with something to commit, and when they are due on the monotonic clock. */
  readonly #due = new Map<TaskRuntime, number>()
  readonly #committed: CommittedText = new Map()
  #timer: { readonly scheduled: Scheduled; readonly atMs: number } | undefined
  /** By lane: the cuts under way, the last of them to wait for. */
  readonly #lanes = new Map<string, { last: Promise<void>; underWay: number }>()
  #stopped = false
  #count = 0
  #lastMs = 0

  constructor(deps: CommitterDeps) {
    this.#deps = deps
  }

  get stats(): { readonly count: number; readonly lastMs: number } {
    return { count: this.#count, lastMs: this.#lastMs }
  }

  get isBusy(): boolean {
    return this.#lanes.size > 0
  }

  /** The task has something for its next cut. */
  touched(task: TaskRuntime): void {
    if (this.#due.has(task)) return
    const { intervalMs, clock } = this.#deps
    const phaseMs = ((task.partition % STAGGER) * intervalMs) / STAGGER
    const turns = Math.floor((clock.monotonic() - phaseMs) / intervalMs) + 1
    this.#setDue(task, turns * intervalMs + phaseMs)
  }

  /** The task should be cut now. */
  wanted(task: TaskRuntime): void {
    if (this.#due.get(task) !== -Infinity) this.#setDue(task, -Infinity)
  }

  /** A task is lost. */
  forget(task: TaskRuntime): void {
    this.#due.delete(task)
    for (const { source } of task.sources) this.#committed.delete(source)
  }

  /** Cuts these tasks, after the cuts under way. Rejects when it cannot be done. */
  async cut(tasks: readonly TaskRuntime[]): Promise<void> {
    const lanes = new Map<string, TaskRuntime[]>()
    for (const task of tasks) {
      const name = this.#deps.guarantee.lane(task)
      const lane = lanes.get(name)
      if (lane === undefined) lanes.set(name, [task])
      else lane.push(task)
    }
    await Promise.all([...lanes].map(([name, ofLane]) => this.#cutLane(name, ofLane)))
  }

  #cutLane(name: string, tasks: readonly TaskRuntime[]): Promise<void> {
    const lane = this.#lanes.get(name) ?? { last: Promise.resolve(), underWay: 0 }
    this.#lanes.set(name, lane)
    lane.underWay++
    const done = lane.last.then(() => this.#run(tasks))
    const settle = (): void => {
      lane.underWay--
      if (lane.underWay === 0) this.#lanes.delete(name)
      this.#arm()
    }
    lane.last = done.then(settle, settle)
    return done
  }

  /** No more cuts of its own accord. */
  stop(): void {
    this.#stopped = true
    this.#timer?.scheduled.cancel()
    this.#timer = undefined
  }

  #isBusy(task: TaskRuntime): boolean {
    return this.#lanes.size > 0 && this.#lanes.has(this.#deps.guarantee.lane(task))
  }

  #setDue(task: TaskRuntime, atMs: number): void {
    this.#due.set(task, atMs)
    this.#arm()
  }

  #arm(): void {
    if (this.#stopped || this.#due.size === 0) return
    let atMs = Infinity
    for (const [task, dueMs] of this.#due) if (dueMs < atMs && !this.#isBusy(task)) atMs = dueMs
    if (atMs === Infinity) return
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return
    this.#timer?.scheduled.cancel()
    const fire = (): void => {
      this.#timer = undefined
      if (!this.#stopped) void this.#cutDue()
    }
    const delayMs = atMs - this.#deps.clock.monotonic()
    if (delayMs > 0) this.#timer = { scheduled: this.#deps.clock.schedule(delayMs, fire), atMs }
    else {
      const immediate = setImmediate(fire)
      this.#timer = { scheduled: { cancel: () => clearImmediate(immediate) }, atMs }
    }
  }

  async #cutDue(): Promise<void> {
    const now = this.#deps.clock.monotonic()
    const tasks = [...this.#due].filter(([task, atMs]) => atMs <= now && !this.#isBusy(task)).map(([task]) => task)
    // A timer may be a fraction of a millisecond early.
    if (tasks.length === 0) return this.#arm()
    try {
      await this.cut(tasks)
    } catch (thrown) {
      if (!isMillraceError(thrown, 'CLOSED')) this.#deps.onBroken(toError(thrown))
    }
  }

  async #run(asked: readonly TaskRuntime[]): Promise<void> {
    const { guarantee, clock, sensor, onCommitted } = this.#deps
    const running = asked.filter((task) => task.running)
    for (const task of asked) this.#due.delete(task)
    if (running.length === 0) return
    const startMs = clock.monotonic()
    await guarantee.before(running)
    try {
      const cuts = running.flatMap((task) => this.#take(task))
      if (cuts.length === 0) return
      const stored = await this.#complete(cuts)
      if (stored.length === 0) return
      this.#count++
      this.#lastMs = clock.monotonic() - startMs
      sensor.commitCompleted({
        tasks: stored.length,
        rows: stored.reduce((sum, cut) => sum + rowsOf(cut), 0),
        durationMs: this.#lastMs,
      })
      onCommitted(stored.map((cut) => cut.task))
    } finally {
      guarantee.after(running)
    }
  }

  #take(task: TaskRuntime): readonly Cut[] {
    const { guarantee, clock } = this.#deps
    if (task.closed) return []
    if (guarantee.isReady(task)) return [takeCut(task, this.#committed, clock) ?? []].flat()
    task.untouch()
    task.touch()
    return []
  }

  async #complete(cuts: readonly Cut[]): Promise<readonly Cut[]> {
    const { guarantee, stores, clock } = this.#deps
    const acknowledged = await this.#acknowledged(cuts)
    let committed: readonly Cut[] = []
    try {
      committed = acknowledged.length === 0 ? [] : await guarantee.commit(acknowledged)
      const stay = committed.filter((cut) => !cut.task.closed)
      await stores.commit(stay.flatMap((cut) => storeChanges(cut, clock)))
      for (const cut of stay) this.#settle(cut)
      return stay
    } finally {
      for (const cut of cuts) if (!committed.includes(cut)) this.#giveBack(cut)
    }
  }

  /** Those whose sends and rows are all on the broker. A refusal ends the worker, by way of the outbox. */
  async #acknowledged(cuts: readonly Cut[]): Promise<readonly Cut[]> {
    const outcomes = await Promise.allSettled(cuts.map((cut) => cut.sealed))
    return cuts.filter((cut, i) => outcomes[i]?.status === 'fulfilled' && !cut.task.closed)
  }

  #settle(cut: Cut): void {
    for (const one of cut.offsets) {
      if (one.source.committed !== one.offset) one.source.movedAtMs = this.#deps.clock.monotonic()
      one.source.committed = one.offset
      this.#committed.set(one.source, textOf(one))
    }
    for (const { cursor, passed } of cut.cursors) cursor.committed(passed)
    for (const { state, rows, last } of cut.states) {
      state.open.rowsStored()
      if (last === undefined) continue
      const stretch = state.tail.wrote(rows.length, last.offset)
      if (stretch !== undefined) this.#deps.guarantee.strayed(cut.task, state, stretch)
    }
  }

  #giveBack(cut: Cut): void {
    if (cut.task.closed) return
    for (const { state } of cut.states) state.open.rowsReturned()
    cut.task.untouch()
    cut.task.touch()
  }
}
