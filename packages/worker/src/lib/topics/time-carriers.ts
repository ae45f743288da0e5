import { taskId } from '../environment/task-id.ts'
import type { StateDefinition } from '../contracts/task.ts'
import type { SubscriptionSpec, TopicDeclaration } from '../contracts/worker-context.ts'

/** A repartition topic that carries the event times of the tasks that write into it. */
export interface TimeCarrier {
  readonly topic: string
  readonly partitions: number
  /** Those whose events go into it. */
  readonly subscriptions: readonly string[]
  /** Ids of the tasks that write into it; more than one. */
  readonly tasks: readonly string[]
}

export interface CarriedTopics {
  readonly declarations: Iterable<TopicDeclaration>
  readonly subscriptions: readonly SubscriptionSpec[]
  /** Partition counts. */
  readonly topics: ReadonlyMap<string, number>
  readonly states: ReadonlyMap<StateDefinition, number>
}

/**
 * The repartition topics through which event time goes: several tasks write into them, and some state keeps event time
 * where they are read. With one task, the times of the records say the same.
 */
export function timeCarriers({ declarations, subscriptions, topics, states }: CarriedTopics): readonly TimeCarrier[] {
  const timed = new Set([...states].flatMap(([{ eventTime }, count]) => (eventTime === true ? [count] : [])))
  return [...declarations].flatMap(({ name: topic, timeOf = [] }) => {
    const partitions = topics.get(topic)
    if (timeOf.length === 0 || partitions === undefined || !timed.has(partitions)) return []
    const tasks = subscriptions
      .filter(({ id }) => timeOf.includes(id))
      .flatMap((spec) => [
        ...spec.topics.map((name) => topics.get(name) ?? 0),
        ...(spec.due === undefined ? [] : [states.get(spec.due) ?? 0]),
      ])
      .flatMap((count) => Array.from({ length: count }, (_, partition) => taskId(count, partition)))
    const unique = [...new Set(tasks)]
    return unique.length > 1 ? [{ topic, partitions, subscriptions: timeOf, tasks: unique }] : []
  })
}
