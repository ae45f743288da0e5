import { type Clock, isMillraceError, type Scheduled, type Sensor, toError } from '@millrace/core'
import type { Lease } from '../group/lease.ts'
import { RENEW_CHECKPOINT_MS } from '../restore/restore-plan.ts'
import type { TaskRuntime } from '../tasks/task-runtime.ts'
import type { TaskStores } from '../restore/task-stores.ts'
import { type CommittedText, type Cut, rowsOf, storeChanges, takeCut, textOf } from './cut.ts'
import type { Guarantee } from './guarantee.ts'

/** Tasks are due in so many groups over an interval, each group with one commit. */
const STAGGER = 8

export interface CommitterDeps {
  readonly clock: Clock
  readonly lease: Pick<Lease, 'valid'>
  readonly intervalMs: number
  /** Those that can be cut. */
  readonly tasks: () => readonly TaskRuntime[]
  readonly stores: TaskStores
  readonly guarantee: Guarantee
  readonly sensor: Pick<Sensor, 'commitCompleted'>
  /** Positions moved: hand-out that had stopped for them may go on. */
  readonly onCommitted: (tasks: readonly TaskRuntime[]) => void
  /** Something that waiting cannot mend. */
  readonly onBroken: (error: Error) => void
}

/** Cuts whose sends and rows are all on the broker, and that are committed together. */
interface Batch {
  readonly cuts: Cut[]
  /** Those of them that are committed and stored. */
  readonly done: Promise<ReadonlySet<Cut>>
}

/**
 * Cuts tasks when they are due, each for itself and one cut of a task at a time: snapshot of positions, changed rows on their
 * way, wait for the broker. What is complete is committed and stored, together with what else of its commit group has become
 * complete while the commit before was under way. So a task whose rows the broker does not take holds up no other.
 * A task in which nothing happened is not looked at.
 */
export class Committer {
  readonly #deps: CommitterDeps
  /** Tasks with something to commit, and when they are due on the monotonic clock. */
  readonly #due = new Map<TaskRuntime, number>()
  readonly #committed: CommittedText = new Map()
  #timer: { readonly scheduled: Scheduled; readonly atMs: number } | undefined
  /** The cuts under way of a task, the last of them to wait for. */
  readonly #cutting = new Map<TaskRuntime, { last: Promise<void>; underWay: number }>()
  /** By commit group: what goes into its next commit. */
  readonly #gathering = new Map<string, Batch>()
  /** By commit group: resolves when its commit under way is over. */
  readonly #committing = new Map<string, Promise<void>>()
  /** Their checkpoints are looked at after the next cut. */
  readonly #toRenew = new Set<TaskRuntime>()
  #renewal: Scheduled | undefined
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
    return this.#cutting.size > 0
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

  /** From now on checkpoints are kept young, also where nothing is written. */
  start(): void {
    const renew = (): void => {
      for (const task of this.#deps.tasks()) {
        this.#toRenew.add(task)
        this.touched(task)
      }
      this.#renewal = this.#deps.clock.schedule(RENEW_CHECKPOINT_MS, renew)
    }
    if (!this.#stopped) this.#renewal = this.#deps.clock.schedule(RENEW_CHECKPOINT_MS, renew)
  }

  /** A task is lost. */
  forget(task: TaskRuntime): void {
    this.#due.delete(task)
    this.#toRenew.delete(task)
    for (const { source } of task.sources) this.#committed.delete(source)
  }

  /** Cuts these tasks, each after its cut under way. Rejects when one of them cannot be cut; the others go on. */
  async cut(tasks: readonly TaskRuntime[]): Promise<void> {
    await Promise.all(tasks.map((task) => this.#cutOne(task)))
  }

  #cutOne(task: TaskRuntime): Promise<void> {
    const cuts = this.#cutting.get(task) ?? { last: Promise.resolve(), underWay: 0 }
    this.#cutting.set(task, cuts)
    cuts.underWay++
    const done = cuts.last.then(() => this.#run(task))
    const settle = (): void => {
      cuts.underWay--
      if (cuts.underWay === 0) this.#cutting.delete(task)
      this.#arm()
    }
    cuts.last = done.then(settle, settle)
    return done
  }

  /** No more cuts of its own accord. */
  stop(): void {
    this.#stopped = true
    this.#renewal?.cancel()
    this.#timer?.scheduled.cancel()
    this.#timer = undefined
  }

  #isBusy(task: TaskRuntime): boolean {
    return this.#cutting.has(task)
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
    const done = this.cut(tasks)
    // For those that are due later: these cuts may take long.
    this.#arm()
    try {
      await done
    } catch (thrown) {
      if (!isMillraceError(thrown, 'CLOSED')) this.#deps.onBroken(toError(thrown))
    }
  }

  async #run(task: TaskRuntime): Promise<void> {
    const { guarantee } = this.#deps
    this.#due.delete(task)
    if (!task.running) return
    await guarantee.before(task)
    try {
      const cut = this.#take(task)
      if (cut !== undefined) await this.#complete(cut)
      if (this.#toRenew.delete(task)) await this.#renewCheckpoints(task)
    } finally {
      guarantee.after(task)
    }
  }

  /** What nobody else may write, the store has as of now. */
  async #renewCheckpoints(task: TaskRuntime): Promise<void> {
    const { lease, clock, stores } = this.#deps
    if (task.closed || !lease.valid) return
    const wallTimeMs = clock.now()
    await stores.commit(
      task.states.flatMap(({ store }) => {
        const checkpoint = store.checkpoint()
        const isOld = checkpoint !== undefined && wallTimeMs - checkpoint.wallTimeMs > RENEW_CHECKPOINT_MS / 2
        return isOld ? [{ partition: store, rows: [], checkpoint: { ...checkpoint, wallTimeMs } }] : []
      }),
    )
  }

  #take(task: TaskRuntime): Cut | undefined {
    const { guarantee, clock } = this.#deps
    if (task.closed) return undefined
    if (guarantee.isReady(task)) return takeCut(task, this.#committed, clock)
    task.untouch()
    task.touch()
    return undefined
  }

  async #complete(cut: Cut): Promise<void> {
    let done = false
    try {
      if (await this.#acknowledged(cut)) done = (await this.#batchFor(cut).done).has(cut)
    } finally {
      if (!done) this.#giveBack(cut)
    }
  }

  /** Whether its sends and rows are all on the broker. A refusal ends the worker, by way of the outbox. */
  async #acknowledged({ sealed, task }: Cut): Promise<boolean> {
    const [outcome] = await Promise.allSettled([sealed])
    return outcome.status === 'fulfilled' && !task.closed
  }

  /** Puts it into the next commit of its group, which begins when the one before is over and this turn of the event loop ends. */
  #batchFor(cut: Cut): Batch {
    const group = this.#deps.guarantee.commitGroup(cut.task)
    const gathering = this.#gathering.get(group)
    if (gathering !== undefined) {
      gathering.cuts.push(cut)
      return gathering
    }
    const cuts = [cut]
    const before = this.#committing.get(group) ?? Promise.resolve()
    const done = before.then(endOfTurn).then(() => {
      this.#gathering.delete(group)
      return this.#commit(cuts)
    })
    const over = (): void => {
      if (this.#committing.get(group) === committing) this.#committing.delete(group)
    }
    const committing = done.then(over, over)
    this.#committing.set(group, committing)
    const batch = { cuts, done }
    this.#gathering.set(group, batch)
    return batch
  }

  async #commit(cuts: readonly Cut[]): Promise<ReadonlySet<Cut>> {
    const { guarantee, stores, clock, sensor, onCommitted } = this.#deps
    const committed = await guarantee.commit(cuts.filter(({ task }) => !task.closed))
    const stay = committed.filter(({ task }) => !task.closed)
    if (stay.length === 0) return new Set()
    await stores.commit(stay.flatMap((cut) => storeChanges(cut, clock)))
    for (const cut of stay) this.#settle(cut)
    this.#count++
    this.#lastMs = clock.monotonic() - Math.min(...stay.map(({ takenMs }) => takenMs))
    sensor.commitCompleted({
      tasks: stay.length,
      rows: stay.reduce((sum, cut) => sum + rowsOf(cut), 0),
      durationMs: this.#lastMs,
    })
    onCommitted(stay.map((cut) => cut.task))
    return new Set(stay)
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

/** So that cuts that become complete in the same turn share a commit. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
