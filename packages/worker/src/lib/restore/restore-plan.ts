import type { RawRecord } from '@millrace/core'
import type { Checkpoint, StorePartition } from '@millrace/core/driver'

const DEFAULT_DELETE_RETENTION_MS = 24 * 60 * 60 * 1000
/**
 * A checkpoint older than this is rewritten, with the time at which the store was found to be complete, even if there
 * are no new rows. Its time says since when deletions may have been missed, not since when nothing was written.
 */
export const RENEW_CHECKPOINT_MS: number = 15 * 60 * 1000
/** A row may be made this long before it arrives in the changelog, after a younger checkpoint. */
const CLOCKS_APART_MS = 15 * 60 * 1000

export interface ChangelogState {
  readonly topicId: string
  /** The first offset that exists. */
  readonly beginning: number
  readonly end: number
  /** Settings of the changelog topic. */
  readonly config: Readonly<Record<string, string>>
}

export interface RestorePlan {
  /** Where reading starts. It ends at `ChangelogState.end`. */
  readonly from: number
  /** Why the store's rows cannot be used and are dropped first; `undefined` if they can be used, or there are none. */
  readonly rebuild: string | undefined
}

/**
 * Decides whether a store can continue at its checkpoint, or has to be rebuilt from the beginning. Whether it is too
 * old shows only when the rest is read: see `Gap`.
 */
export function planRestore(checkpoint: Checkpoint | undefined, changelog: ChangelogState): RestorePlan {
  const { beginning } = changelog
  if (checkpoint === undefined) return { from: beginning, rebuild: undefined }
  const rebuild = distrust(checkpoint, changelog)
  return rebuild === undefined ? { from: checkpoint.offset, rebuild } : { from: beginning, rebuild }
}

/**
 * Why everything is read anew, for the log; also for a store that has lost its rows. Must be called before the store is
 * cleared.
 */
export function whyAnew(
  { rebuild }: RestorePlan,
  store: Pick<StorePartition, 'checkpoint' | 'damage'>,
): string | undefined {
  return rebuild ?? (store.checkpoint() === undefined ? store.damage : undefined)
}

function distrust({ topicId, offset }: Checkpoint, changelog: ChangelogState): string | undefined {
  const { beginning, end } = changelog
  if (topicId !== changelog.topicId) return 'the changelog topic was deleted and created again'
  if (offset > end) return `the store has absorbed offset ${offset} of a changelog that ends at ${end}`
  if (offset < beginning) return `the changelog begins at ${beginning}, past the store's offset ${offset}`
  return undefined
}

/** The part of the changelog between a checkpoint and the end, as far as it has been read. */
export class Gap {
  readonly #checkpoint: Checkpoint
  readonly #retentionMs: number
  readonly #isAlmostNone: boolean
  #whole = true
  #oldestMs = Infinity
  #newestMs = -Infinity

  constructor(checkpoint: Checkpoint, { config, end }: Pick<ChangelogState, 'config' | 'end'>) {
    this.#checkpoint = checkpoint
    this.#retentionMs = Number(config['delete.retention.ms'] ?? DEFAULT_DELETE_RETENTION_MS)
    // Compaction never removes the last offset of a log. If only that offset is left, it is a row that is read, or the
    // marker that ended the store's own last transaction.
    this.#isAlmostNone = checkpoint.offset >= end - 1
  }

  /** Notes records that were read in the gap. `whole`: nothing between them has been compacted away. */
  read(records: readonly Pick<RawRecord, 'timestamp'>[], whole: boolean): this {
    this.#whole &&= whole
    for (const { timestamp } of records) {
      if (timestamp < this.#oldestMs) this.#oldestMs = timestamp
      if (timestamp > this.#newestMs) this.#newestMs = timestamp
    }
    return this
  }

  /**
   * Why the store cannot be used, or may not be usable. Compaction drops tombstones `delete.retention.ms` after it
   * first sees them, so a store that has missed one would keep its row for ever. Without compaction in the gap nothing
   * is missing, whatever the age of the store. Otherwise the store must be young by every known clock: this worker's,
   * that of the checkpoint, and those of the rows after it.
   */
  distrust(nowMs: number): string | undefined {
    if (this.#whole || this.#isAlmostNone) return undefined
    const { wallTimeMs } = this.#checkpoint
    const apartMs = Math.min(CLOCKS_APART_MS, this.#retentionMs / 2)
    if (wallTimeMs > Math.min(nowMs, this.#oldestMs) + apartMs)
      return 'its age is unknown, because its checkpoint was written under a clock that ran ahead, and rows of the changelog were compacted away since'
    if (Math.max(nowMs, this.#newestMs) - wallTimeMs > this.#retentionMs / 2)
      return 'the store is so old that deletions may be gone from the changelog'
    return undefined
  }
}
