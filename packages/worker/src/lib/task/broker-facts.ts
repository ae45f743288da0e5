import {
  byPartition,
  type CommitOffset,
  endOfTurn,
  partitionKey,
  type TopicPartition,
  withinLimit,
} from '@millrace/core'
import type { PartitionOffsets } from '@millrace/core/driver'
import type { Tasks } from './tasks.ts'
import type { Task } from './task.ts'

/** How long a question about many tasks may take. After that each task asks for itself. */
const PATIENCE_MS = 3000

/** What the broker knows of tasks that are about to be opened. */
export interface Facts {
  readonly committed: ReadonlyMap<string, CommitOffset>
  readonly bounds: ReadonlyMap<string, PartitionOffsets>
  readonly changelogs: ReadonlyMap<string, PartitionOffsets>
}

/** Questions to the broker for several tasks at once. */
interface Question {
  readonly tasks: Task[]
  /** Resolves to `undefined` when each task must ask for itself. */
  readonly facts: Promise<Facts | undefined>
}

/** Asks the broker for what must be known to open a task. Tasks that are opened together share one question. */
export class BrokerFacts {
  readonly #tasks: Pick<Tasks, 'environment' | 'consumer' | 'admin' | 'topics'>
  /** The question that further tasks may still join. */
  #asking: Question | undefined
  /** The question under way, or the last one. */
  #asked: Promise<unknown> = Promise.resolve()

  constructor(tasks: Pick<Tasks, 'environment' | 'consumer' | 'admin' | 'topics'>) {
    this.#tasks = tasks
  }

  /**
   * Must be called after earlier owners are fenced, because an offset of theirs could otherwise still arrive. The task
   * shares the question with all tasks that get here while the previous question is under way. If the shared question
   * fails or takes too long, each task asks for itself, so that an error about one of them does not concern the others.
   */
  async of(task: Task): Promise<Facts> {
    this.#asking ??= this.#askTogether()
    this.#asking.tasks.push(task)
    return (await this.#asking.facts) ?? this.#ask([task])
  }

  #askTogether(): Question {
    const tasks: Task[] = []
    // Tasks that were assigned together get here in the same turn of the event loop.
    const facts = this.#asked.then(endOfTurn).then(async () => {
      this.#asking = undefined
      const open = tasks.filter((task) => !task.closed)
      if (open.length < 2) return undefined
      let answer: Facts | undefined
      // An error of a shared question is ignored here: the task at fault meets it again when it asks for itself.
      const asked = this.#ask(open).then(
        (found) => void (answer = found),
        () => undefined,
      )
      await withinLimit(this.#tasks.environment.clock, PATIENCE_MS, asked)
      return answer
    })
    this.#asked = facts
    return { tasks, facts }
  }

  async #ask(tasks: readonly Task[]): Promise<Facts> {
    const { environment, consumer, admin, topics } = this.#tasks
    const { offsetReset, isolation } = environment.settings
    const offsets = async (
      partitions: readonly TopicPartition[],
      level: typeof isolation,
    ): Promise<ReadonlyMap<string, PartitionOffsets>> =>
      byPartition(partitions.length === 0 ? [] : await admin.offsets(partitions, level))
    const partitions = tasks.flatMap((task) => task.assigned)
    // The order makes the answers consistent whatever a successor does meanwhile: a changelog has rows only after a
    // first commit, and a committed offset is never past the end. A worker that is suspended here and replaced must not
    // report a broken broker. Open transactions count too: committed rows may lie behind one, so recovery waits until
    // it is over.
    const logs = tasks.flatMap(({ partition, partitions: count }) =>
      topics.statesWith(count).map(({ changelog }) => ({ topic: changelog.topic, partition })),
    )
    const changelogs = await offsets(logs, 'read-uncommitted')
    // The app deletes what it has committed of repartition topics, so a committed offset is not before the beginning
    // either.
    const purged = partitions.filter(({ topic }) => topics.purged.has(topic))
    const beginnings = await offsets(purged, 'read-uncommitted')
    const committed = byPartition(await consumer.committed(partitions))
    // Read uncommitted, because a committed offset may lie behind a transaction that is open now. A subscription that
    // starts at the end starts before that transaction.
    const starting = partitions.filter(
      (partition) => offsetReset === 'latest' && !committed.has(partitionKey(partition)),
    )
    const log = await admin.offsets(partitions, 'read-uncommitted')
    const ends = await offsets(starting, isolation)
    const bounds = log.map((found) => ({
      ...found,
      beginning: beginnings.get(partitionKey(found))?.beginning ?? found.beginning,
      end: ends.get(partitionKey(found))?.end ?? found.end,
    }))
    return { committed, bounds: byPartition(bounds), changelogs }
  }
}
