import type { Clock, Consumer, WaitForTask } from '@millrace/core'
import type { Committer } from '../commit/committer.ts'
import type { Guarantee } from '../commit/guarantee.ts'
import type { Subscription } from '../feeds/subscription.ts'
import { withinLimit } from '../worker/within-limit.ts'
import type { Knowledge, TaskOpener } from './task-opener.ts'
import type { TaskRuntime, TaskSource } from './task-runtime.ts'
import type { TasksHere } from './tasks-here.ts'
import type { TaskStores } from '../restore/task-stores.ts'

/** Until the first commit of a new task is tried again. */
const FIRST_COMMIT_RETRY_MS = 100

/** For a question about many tasks; then each asks for itself. */
const PATIENCE_MS = 3000

/** What is asked of the broker for several tasks at once. */
interface Question {
  readonly tasks: TaskRuntime[]
  /** `undefined` when each must ask for itself. */
  readonly known: Promise<Knowledge | undefined>
}

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
  /** The question that takes further tasks. */
  #asking: Question | undefined
  /** The one under way, or the last. */
  #asked: Promise<unknown> = Promise.resolve()

  constructor(deps: TaskOpeningsDeps) {
    this.#deps = deps
  }

  /** Tasks on their way. */
  get underWay(): number {
    return this.#underWay
  }

  /** Each goes its own way: one whose coordinator or partitions cannot be asked holds up no other. */
  async open(tasks: readonly TaskRuntime[], heardSinceMs: number): Promise<void> {
    this.#underWay += tasks.length
    await Promise.all(
      tasks.map(async (task) => {
        await this.#openOne(task, heardSinceMs)
        this.#underWay--
      }),
    )
    if (this.#underWay === 0) this.#deps.onOpened()
  }

  async #openOne(task: TaskRuntime, heardSinceMs: number): Promise<void> {
    const { guarantee, here, opener, waits, consumer, stores, subscriptions, onRunning, onFailed } = this.#deps
    try {
      await guarantee.fence([task], heardSinceMs)
      if (task.closed) return
      const known = await this.#learn(task)
      if (task.closed) return
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

  /**
   * What the broker knows of it, asked together with those that have come as far while the question before was under way.
   * When that fails, or takes long, each asks for itself: what one of them meets is not the others' affair.
   */
  async #learn(task: TaskRuntime): Promise<Knowledge> {
    this.#asking ??= this.#askTogether()
    this.#asking.tasks.push(task)
    return (await this.#asking.known) ?? this.#deps.opener.learn([task])
  }

  #askTogether(): Question {
    const { clock, opener } = this.#deps
    const tasks: TaskRuntime[] = []
    const known = this.#asked.then(endOfTurn).then(async () => {
      this.#asking = undefined
      const open = tasks.filter((task) => !task.closed)
      if (open.length < 2) return undefined
      let answer: Knowledge | undefined
      const asked = opener.learn(open).then((found) => (answer = found))
      // The answer of a question that has failed is in that of each task.
      await withinLimit(
        clock,
        PATIENCE_MS,
        asked.catch(() => undefined),
      )
      return answer
    })
    this.#asked = known
    return { tasks, known }
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

/** Tasks that were given together come as far in one turn. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
