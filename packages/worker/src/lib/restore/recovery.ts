import { partitionKey, type TopicPartition } from '@millrace/core'
import type { PartitionOffsets, StorePartition } from '@millrace/core/driver'
import type { RecoveryStats } from '../contracts/stats.ts'
import { ChangelogFollower, type RestoreEnvironment, type TaskStateRef } from './changelog-follower.ts'
import { ChangelogReader } from './changelog-reader.ts'
import { Gap, planRestore } from './restore-plan.ts'

/**
 * What was restored of one table, and how long that took. Partitions are restored concurrently, so time counts once for
 * all of them, while at least one is in recovery.
 */
interface RestoreTotals {
  /** Rows of partitions that are complete. */
  restored: number
  activeMs: number
  /** When the first of the current recoveries began. */
  sinceMs: number
}

/** Brings the stores of tasks that are opened here up to the end of their changelogs, several partitions at once. */
export class Recovery {
  readonly #environment: RestoreEnvironment
  readonly #reader: ChangelogReader
  readonly #active = new Map<string, ChangelogFollower>()
  readonly #totals = new Map<string, RestoreTotals>()

  constructor(environment: RestoreEnvironment) {
    this.#environment = environment
    this.#reader = new ChangelogReader(environment, (written) => {
      for (const { changelog, read, rows, remaining } of written)
        environment.sensor.recoveryProgress({ ...changelog, restoredRows: read - rows, remainingRows: remaining })
    })
  }

  get active(): number {
    return this.#active.size
  }

  /**
   * Opens a store and reads up to the end that its changelog had before. Rejects if the signal aborts, as it does when
   * the task is lost; the store is closed then.
   */
  async restore(
    ref: TaskStateRef,
    bounds: Pick<PartitionOffsets, 'beginning' | 'end'>,
    signal: AbortSignal,
  ): Promise<StorePartition> {
    const follower = await ChangelogFollower.open(this.#environment, ref, 'task', signal)
    try {
      await follower.begin(bounds)
      signal.throwIfAborted()
      if (follower.remaining > 0) await this.#follow(follower)
      return follower.store
    } catch (thrown) {
      await follower.close()
      throw thrown
    }
  }

  /** How many changelog offsets are still to be read into a store; 0 if it is not being recovered. */
  remaining(changelog: TopicPartition): number {
    return this.#active.get(partitionKey(changelog))?.remaining ?? 0
  }

  /**
   * How much of a changelog is in this worker's store, if the store is in use or, unless `inUseOnly`, left on disk from
   * earlier. `undefined` if no store is usable.
   */
  absorbed({ definition, partition }: TaskStateRef, inUseOnly: boolean): number | undefined {
    const { stores, topics, clock } = this.#environment
    const checkpoint = stores.checkpoint(definition.name, partition)
    if (stores.isInUse(definition.name, partition)) return checkpoint?.offset ?? 0
    if (checkpoint === undefined || inUseOnly) return undefined
    const [topicId, config] = [topics.changelogId(definition), topics.changelogConfig(definition)]
    // The bounds, and gaps from compaction, are found when the store is used.
    const changelog = { topicId, beginning: 0, end: Infinity, config }
    const { rebuild } = planRestore(checkpoint, changelog)
    const isOld = new Gap(checkpoint, changelog).read([], false).distrust(clock.now()) !== undefined
    return rebuild === undefined && !isOld ? checkpoint.offset : undefined
  }

  stats(table: string, isHere: boolean): RecoveryStats {
    const active = this.#activeOf(table)
    const totals = this.#totalsOf(table)
    const underWayMs = active.length === 0 ? 0 : this.#environment.clock.monotonic() - totals.sinceMs
    const activeMs = totals.activeMs + underWayMs
    const restoredRows = active.reduce((sum, { read }) => sum + read, totals.restored)
    return {
      state: active.length > 0 ? 'recovering' : isHere ? 'done' : 'none',
      restoredRows,
      remainingRows: active.reduce((sum, { remaining }) => sum + remaining, 0),
      rowsPerSecond: activeMs > 0 ? Math.round(restoredRows / (activeMs / 1000)) : 0,
    }
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }

  async #follow(follower: ChangelogFollower): Promise<void> {
    const { clock, log } = this.#environment
    const { changelog, ref } = follower
    const { name } = ref.definition
    const totals = this.#totalsOf(name)
    const startedMs = clock.monotonic()
    if (this.#activeOf(name).length === 0) totals.sinceMs = startedMs
    this.#active.set(partitionKey(changelog), follower)
    try {
      await this.#reader.follow(follower)
      totals.restored += follower.read
    } finally {
      this.#active.delete(partitionKey(changelog))
      if (this.#activeOf(name).length === 0) totals.activeMs += clock.monotonic() - totals.sinceMs
    }
    const seconds = (clock.monotonic() - startedMs) / 1000
    log.info(
      { table: name, ...changelog, rows: follower.read, seconds },
      `Partition ${ref.partition} of ${name} is recovered.`,
    )
  }

  #activeOf(table: string): readonly ChangelogFollower[] {
    return [...this.#active.values()].filter(({ ref }) => ref.definition.name === table)
  }

  #totalsOf(table: string): RestoreTotals {
    const known = this.#totals.get(table) ?? { restored: 0, activeMs: 0, sinceMs: 0 }
    this.#totals.set(table, known)
    return known
  }
}
