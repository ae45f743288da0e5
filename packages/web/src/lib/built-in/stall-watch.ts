import { partitionKey, type TopicPartition } from '@millrace/core'
import type { SourceStats } from '@millrace/worker'

type WatchedSource = Pick<
  SourceStats,
  'topic' | 'partition' | 'position' | 'committed' | 'endOffset' | 'heldAgents' | 'lags'
>

interface LastSeen {
  readonly position: number
  readonly committed: number | undefined
  readonly sinceMs: number
}

/**
 * Finds partitions that have records to handle but do not move. It looks only when it is asked, so it may report a
 * stall late, but never early.
 */
export class StallWatch {
  #seen: ReadonlyMap<string, LastSeen> = new Map()

  /** The partitions of `sources` that have stood still for longer than `afterMs`; forgets all others. */
  check(
    sources: readonly WatchedSource[],
    { nowMs, afterMs }: { readonly nowMs: number; readonly afterMs: number },
  ): readonly TopicPartition[] {
    const seen = new Map<string, LastSeen>()
    const stalled: TopicPartition[] = []
    for (const source of sources) {
      const { topic, partition, position, committed } = source
      const key = partitionKey(source)
      const before = this.#seen.get(key)
      const stands = !isDone(source) && before?.position === position && before.committed === committed
      const sinceMs = stands ? before.sinceMs : nowMs
      seen.set(key, { position, committed, sinceMs })
      if (nowMs - sinceMs > afterMs) stalled.push({ topic, partition })
    }
    this.#seen = seen
    return stalled
  }
}

/** Whether there is nothing left to handle, except for agents that are held back: nobody expects these to move. */
function isDone({ position, committed, endOffset, heldAgents, lags }: WatchedSource): boolean {
  if (endOffset === undefined || (committed ?? position) >= endOffset) return true
  return heldAgents.length > 0 && Object.entries(lags).every(([agent, lag]) => heldAgents.includes(agent) || lag === 0)
}
