import type { TopicPartition } from '@millrace/core'
import type { Position } from './position.ts'

export interface FetchPlanDeps {
  /** Node id of a partition's leader; -1 when it has none or is not known. */
  readonly leader: (partition: TopicPartition) => number
  /** Brokers that have not answered yet. */
  readonly fetching: ReadonlySet<number>
}

/**
 * Which brokers to ask now, and for which partitions. A broker is left alone while it has not answered, and while
 * anything of its last answer waits to be taken: so at most one answer per broker is held, and fetching goes on while
 * the last batch is being worked on. Partitions without a leader come under the leader that they have, -1.
 *
 * A broker fills its answer in the order of the request. So what has gone without records for longest comes first, by
 * each partition's own mark: a rotation shared by brokers that answer in turn would show each of them every other turn.
 */
export function planFetches(
  positions: Iterable<Position>,
  { leader, fetching }: FetchPlanDeps,
): ReadonlyMap<number, readonly Position[]> {
  const wanted = new Map<number, Position[]>()
  const holding = new Set<number>()
  for (const position of positions) {
    if (!position.active || position.paused) continue
    const broker = leader(position)
    if (position.fetched !== undefined) {
      holding.add(broker)
      continue
    }
    const list = wanted.get(broker)
    if (list === undefined) wanted.set(broker, [position])
    else list.push(position)
  }
  for (const [broker, list] of wanted) {
    if (holding.has(broker) || fetching.has(broker)) wanted.delete(broker)
    else list.sort((a, b) => a.servedAt - b.servedAt)
  }
  return wanted
}
