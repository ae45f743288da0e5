import type { Checkpoint, StorePartition } from '@millrace/core'

const DEFAULT_DELETE_RETENTION_MS = 24 * 60 * 60 * 1000
/**
 * A checkpoint older than that is written again with the time at which the store was found to have everything, though there
 * is nothing new: it says since when deletions may have been missed, not since when nothing was written.
 */
export const RENEW_CHECKPOINT_MS: number = 15 * 60 * 1000

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

/** Whether a store can go on from its checkpoint, or has to be built from the beginning. */
export function planRestore(checkpoint: Checkpoint | undefined, changelog: ChangelogState, nowMs: number): RestorePlan {
  const { beginning } = changelog
  if (checkpoint === undefined) return { from: beginning, rebuild: undefined }
  const rebuild = distrust(checkpoint, changelog, nowMs)
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

function distrust(
  { topicId, offset, wallTimeMs }: Checkpoint,
  changelog: ChangelogState,
  nowMs: number,
): string | undefined {
  const { beginning, end } = changelog
  if (topicId !== changelog.topicId) return 'the changelog topic was deleted and created again'
  if (offset > end) return `the store has absorbed offset ${offset} of a changelog that ends at ${end}`
  if (offset < beginning) return `the changelog begins at ${beginning}, past the store's offset ${offset}`
  const retentionMs = Number(changelog.config['delete.retention.ms'] ?? DEFAULT_DELETE_RETENTION_MS)
  // Compaction drops tombstones after that time: a store that has not seen one would keep the row for ever. But never the
  // last offset of a log. Where only that is left, it is read, or it is the mark that ended the store's own last transaction.
  if (offset < end - 1 && nowMs - wallTimeMs > retentionMs / 2)
    return 'the store is so old that deletions may be gone from the changelog'
  return undefined
}
