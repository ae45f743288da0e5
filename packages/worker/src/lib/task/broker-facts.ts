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

/** How long a question about many tasks may take. Then each asks for itself. */
const PATIENCE_MS = 3000

/** The broker's knowledge of tasks that are about to be opened. */
export interface Facts {
  readonly committed: ReadonlyMap<string, CommitOffset>
  readonly bounds: ReadonlyMap<string, PartitionOffsets>
  readonly changelogs: ReadonlyMap<string, PartitionOffsets>
}

/** Questions to the broker for several tasks at once. */
interface Question {
  readonly tasks: Task[]
  /** `undefined` when each must ask for itself. */
  readonly facts: Promise<Facts | undefined>
}

/** Asks the broker what must be known to open a task, for many tasks at once where they come together. */
export class BrokerFacts {
  readonly #tasks: Pick<Tasks, 'environment' | 'consumer' | 'admin' | 'topics'>
  /** The question that takes further tasks. */
  #asking: Question | undefined
  /** The one under way, or the last. */
  #asked: Promise<unknown> = Promise.resolve()

  constructor(tasks: Pick<Tasks, 'environment' | 'consumer' | 'admin' | 'topics'>) {
    this.#tasks = tasks
  }

  /**
   * Must come after the earlier owners are shut out: else an offset of theirs could still come. Asked together with those
   * tasks that have come as far while the question before was under way. When that fails, or takes long, each asks for
   * itself: what one of them meets does not concern the others.
   */
  async of(task: Task): Promise<Facts> {
    this.#asking ??= this.#askTogether()
    this.#asking.tasks.push(task)
    return (await this.#asking.facts) ?? this.#ask([task])
  }

  #askTogether(): Question {
    const tasks: Task[] = []
    // Tasks that were assigned together get here in one turn of the event loop.
    const facts = this.#asked.then(endOfTurn).then(async () => {
      this.#asking = undefined
      const open = tasks.filter((task) => !task.closed)
      if (open.length < 2) return undefined
      let answer: Facts | undefined
      // What a question fails with that is asked for many, each meets again when it asks for itself.
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
    // In this order, so that whatever a successor does meanwhile makes sense: rows are in a changelog only after a
    // first commit, and a committed offset is never past the end. A worker that sleeps here and is replaced must not
    // take the broker for broken. What is in a transaction counts too: rows that are committed may lie behind it, so
    // recovery waits until it is over.
    const logs = tasks.flatMap(({ partition, partitions: count }) =>
      topics.statesWith(count).map(({ changelog }) => ({ topic: changelog.topic, partition })),
    )
    const changelogs = await offsets(logs, 'read-uncommitted')
    // What it has committed of repartition topics it deletes: so a committed offset is not before the beginning either.
    const purged = partitions.filter(({ topic }) => topics.purged.has(topic))
    const beginnings = await offsets(purged, 'read-uncommitted')
    const committed = byPartition(await consumer.committed(partitions))
    // The whole log, for a committed offset may lie behind a transaction that is open now. Who starts at the end starts
    // before it.
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
