import type { Clock, Consumer, WaitForTask } from '@millrace/core'
import type { Committer } from '../commit/committer.ts'
import type { Guarantee } from '../commit/guarantee.ts'
import type { Subscription } from '../feeds/subscription.ts'
import type { Knowledge, TaskOpener } from './task-opener.ts'
import type { TaskRuntime, TaskSource } from './task-runtime.ts'
import type { TasksHere } from './tasks-here.ts'
import type { TaskStores } from './task-stores.ts'

/** Until the first commit of a new task is tried again. */
const FIRST_COMMIT_RETRY_MS = 100

export interface TaskOpeningsDeps {
  readonly clock: Clock
  readonly consumer: Pick<Consumer, 'seek'>
  readonly here: Pick<TasksHere, 'run'>
  readonly committer: Pick<Committer, 'cut'>
  readonly guarantee: Pick<Guarantee, 'fence'>
  readonly stores: Pick<TaskStores, 'close'>
  readonly opener: TaskOpener
  readonly waits: () => readonly WaitForTask[]
  readonly subscriptions: () => readonly Subscription[]
  /** No task is being opened any more. */
  readonly onOpened: () => void
  /** This task has begun to run; its signal aborts when it is lost. */
  readonly onRunning: (task: TaskRuntime) => void
  /** These could not be opened. Told for lost tasks too: they fail at any point, and nobody minds. */
  readonly onFailed: (tasks: readonly TaskRuntime[], thrown: unknown) => void
}

/**
 * Brings gained tasks to where their events are handed out:
 *
 *     fence → offsets → what parts wait for → stores → recover → first commit → seek → hand out
 *
 * A task may be lost at any await: its signal then aborts, and the rest of the way is left out.
 */
export class TaskOpenings {
  readonly #deps: TaskOpeningsDeps
  #underWay = 0

  constructor(deps: TaskOpeningsDeps) {
    this.#deps = deps
  }

  /** Tasks on their way. */
  get underWay(): number {
    return this.#underWay
  }

  async open(tasks: readonly TaskRuntime[], heardSinceMs: number): Promise<void> {
    const { guarantee, opener, onOpened, onFailed } = this.#deps
    if (tasks.length > 0) {
      this.#underWay += tasks.length
      try {
        await guarantee.fence(tasks, heardSinceMs)
        const known = await opener.learn(tasks.filter((task) => !task.closed))
        await Promise.all(tasks.map((task) => this.#openOne(task, known)))
      } catch (thrown) {
        onFailed(tasks, thrown)
      } finally {
        this.#underWay -= tasks.length
      }
    }
    if (this.#underWay === 0) onOpened()
  }

  async #openOne(task: TaskRuntime, known: Knowledge): Promise<void> {
    const { here, opener, waits, consumer, stores, subscriptions, onRunning, onFailed } = this.#deps
    if (task.closed) return
    try {
      await Promise.all(waits().map((wait) => wait(task, task.signal)))
      const { sources, states, starts } = await opener.open(task, known)
      if (task.closed) {
        // Lost in the very turn in which it was opened: nobody else knows of its stores.
        await Promise.all(states.map(({ store }) => stores.close(store)))
        return
      }
      here.run(task, sources, states)
      // Before any row: so that rows without committed offsets mean that offsets were lost. And 'latest' is only now once.
      // A hole is passed at once too: it is told of once.
      const isNew = starts.some(({ origin }) => origin !== 'committed')
      if (isNew) await this.#commitFirst(task, sources)
      if (task.closed) return
      for (const { source } of sources) consumer.seek(source, source.position)
      task.handOut()
      for (const subscription of subscriptions())
        subscription.add(
          sources.flatMap(({ cursors }) => cursors.filter((cursor) => cursor.place.spec === subscription.spec)),
        )
      onRunning(task)
    } catch (thrown) {
      onFailed([task], thrown)
    }
  }

  /** A commit may come to nothing and be no error: without a lease just now, or when its answer came too late. */
  async #commitFirst(task: TaskRuntime, sources: readonly TaskSource[]): Promise<void> {
    const { committer, clock } = this.#deps
    for (;;) {
      await committer.cut([task])
      if (task.closed || sources.every(({ source }) => source.committed !== undefined)) return
      await clock.sleep(FIRST_COMMIT_RETRY_MS, task.signal)
    }
  }
}
