import type { RawRecord } from '@millrace/core'
import type { Checkpoint, StorePartition } from '@millrace/core/driver'

const DEFAULT_DELETE_RETENTION_MS = 24 * 60 * 60 * 1000
/**
 * A checkpoint older than that is written again with the time at which the store was found to have everything, though there
 * is nothing new: it says since when deletions may have been missed, not since when nothing was written.
 */
export const RENEW_CHECKPOINT_MS: number = 15 * 60 * 1000
/** A row may have been made so long before it came into the changelog, behind a checkpoint that is younger. */
const CLOCKS_APART_MS = 15 * 60 * 1000

export interface ChangelogState {
  readonly topicId: string
  /** First offset present. */
  readonly beginning: number
  readonly end: number
  /** Settings of the changelog topic. */
  readonly config: Readonly<Record<string, string>>
}

export interface RestorePlan {
  /** Where reading starts; the end is `ChangelogState.end`. */
  readonly from: number
  /** Why what the store holds cannot be used and is dropped first; `undefined` when it can, or when there is nothing. */
  readonly rebuild: string | undefined
}

/**
 * Whether a store can go on from its checkpoint, or has to be built from the beginning. Whether it is too old shows when
 * the rest is read: `Gap`.
 */
export function planRestore(checkpoint: Checkpoint | undefined, changelog: ChangelogState): RestorePlan {
  const { beginning } = changelog
  if (checkpoint === undefined) return { from: beginning, rebuild: undefined }
  const rebuild = distrust(checkpoint, changelog)
  return rebuild === undefined ? { from: checkpoint.offset, rebuild } : { from: beginning, rebuild }
}

/**
 * Why everything is read anew, for the log: also of a store that has lost what it had. To be asked before it is
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
    // Compaction never takes the last offset of a log. Where only that is left, it is read, or it is the mark that ended
    // the store's own last transaction.
    this.#isAlmostNone = checkpoint.offset >= end - 1
  }

  /** Records that were read of it; `whole`: nothing has been compacted away between them. */
  read(records: readonly Pick<RawRecord, 'timestamp'>[], whole: boolean): this {
    this.#whole &&= whole
    for (const { timestamp } of records) {
      if (timestamp < this.#oldestMs) this.#oldestMs = timestamp
      if (timestamp > this.#newestMs) this.#newestMs = timestamp
    }
    return this
  }

  /**
   * Why the store cannot be used, or may not be usable. Compaction drops tombstones `delete.retention.ms` after it has come
   * to them: a store that has not seen one would keep its row for ever. Where nothing was compacted away, nothing is
   * missing, however old the store is. Where something was, the store must be young by every clock that is known: this
   * worker's, that of the checkpoint, and those of the rows behind it.
   */
  distrust(nowMs: number): string | undefined {
    if (this.#whole || this.#isAlmostNone) return undefined
    const { wallTimeMs } = this.#checkpoint
    const apartMs = Math.min(CLOCKS_APART_MS, this.#retentionMs / 2)
    if (wallTimeMs > Math.min(nowMs, this.#oldestMs) + apartMs)
      return 'its checkpoint was written under a clock that ran ahead, so that it is not known how old it is, and rows of the changelog were compacted away since'
    if (Math.max(nowMs, this.#newestMs) - wallTimeMs > this.#retentionMs / 2)
      return 'the store is so old that deletions may be gone from the changelog'
    return undefined
  }
}
