import { type Consumer, type Logger, partitionKey, toError, type TopicPartition } from '@millrace/core'
import type { Committer } from '../commit/committer.ts'
import type { Guarantee } from '../commit/guarantee.ts'
import type { FlowControl } from '../feeds/flow-control.ts'
import type { Subscription } from '../feeds/subscription.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { CopyPlace } from '../restore/standbys.ts'
import type { TaskPlace } from './task-place.ts'
import { type TaskListener, TaskRuntime, type TaskSource, type TaskState } from './task-runtime.ts'
import type { TaskStores } from '../restore/task-stores.ts'

export interface TasksHereDeps {
  readonly log: Logger
  readonly consumer: Pick<Consumer, 'stop'>
  readonly topics: Pick<TopicDirectory, 'partsWith'>
  readonly flow: FlowControl
  readonly committer: Pick<Committer, 'forget'>
  readonly guarantee: Pick<Guarantee, 'output' | 'release'>
  readonly stores: TaskStores
  readonly listener: TaskListener
  readonly subscriptions: () => readonly Subscription[]
}

/**
 * The tasks that this worker has been given, from the assignment until they are lost, and who must know of either. What
 * the driver fetches of a task is started by its opening and stopped here when it is lost, also where the driver itself
 * has kept the partition: else it would run ahead of a task that is opened anew.
 */
export class TasksHere {
  readonly #deps: TasksHereDeps
  readonly #tasks = new Map<string, TaskRuntime>()
  /** By topic and partition: asked for each batch. */
  readonly #sources = new Map<string, TaskSource[]>()
  readonly #closing = new Set<Promise<void>>()

  constructor(deps: TasksHereDeps) {
    this.#deps = deps
  }

  get all(): ReadonlyMap<string, TaskRuntime> {
    return this.#tasks
  }

  get running(): readonly TaskRuntime[] {
    return [...this.#tasks.values()].filter((task) => task.running)
  }

  /** A partition of a running task. */
  sourceOf({ topic, partition }: TopicPartition): TaskSource | undefined {
    return this.#sources.get(topic)?.[partition]
  }

  add(
    { partitions, partition, id }: TaskPlace,
    assigned: readonly TopicPartition[],
    foundEnds?: ReadonlyMap<string, number>,
  ): TaskRuntime {
    const { guarantee, listener } = this.#deps
    const task = new TaskRuntime({
      partitions,
      partition,
      assigned,
      output: guarantee.output(id),
      listener,
      ...(foundEnds === undefined ? {} : { foundEnds }),
    })
    this.#tasks.set(id, task)
    return task
  }

  /** It is recovered: what is fetched for it finds its way from now on. */
  run(task: TaskRuntime, sources: readonly TaskSource[], states: readonly TaskState[]): void {
    task.run(sources, states)
    for (const one of sources) {
      const { topic, partition } = one.source
      this.#deps.flow.add(one.source)
      const byPartition = this.#sources.get(topic) ?? []
      byPartition[partition] = one
      this.#sources.set(topic, byPartition)
    }
  }

  /** What is in hand of them counts no more; their stores are closed in the background. */
  lose(ids: readonly string[], reason: string): void {
    for (const id of ids) this.#lose(id, reason)
    for (const subscription of this.#deps.subscriptions()) subscription.purge()
  }

  /** Stores of these stay open from one use to the next, until the next assignment. */
  want(tasks: readonly Pick<TaskPlace, 'partitions' | 'partition'>[], copies: readonly CopyPlace[]): void {
    const { topics, stores, log } = this.#deps
    const ofTasks = tasks.flatMap(({ partitions, partition }) =>
      topics.partsWith(partitions).map(({ name }) => partitionKey({ topic: name, partition })),
    )
    const ofCopies = copies.map(({ part, partition }) => partitionKey({ topic: part.name, partition }))
    this.#inBackground(
      stores.want(new Set([...ofTasks, ...ofCopies])).catch((thrown: unknown) => {
        log.warn({ error: toError(thrown).message }, 'A store that is needed no more was not closed cleanly.')
      }),
    )
  }

  /** Resolves when everything that was lost is closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing)
  }

  #lose(id: string, reason: string): void {
    const { committer, consumer, flow, stores, guarantee, log } = this.#deps
    const task = this.#tasks.get(id)
    if (task === undefined) return
    this.#tasks.delete(id)
    task.close(reason)
    consumer.stop(task.assigned)
    committer.forget(task)
    for (const { source } of task.sources) {
      flow.remove(source)
      delete this.#sources.get(source.topic)?.[source.partition]
    }
    const closing = Promise.all([...task.states.map(({ store }) => stores.close(store)), guarantee.release(task)])
    this.#inBackground(
      closing.then(
        () => undefined,
        (thrown: unknown) =>
          log.warn({ task: id, error: toError(thrown).message }, `Task ${id} was not closed cleanly.`),
      ),
    )
  }

  #inBackground(closing: Promise<void>): void {
    this.#closing.add(closing)
    void closing.then(() => this.#closing.delete(closing))
  }
}
