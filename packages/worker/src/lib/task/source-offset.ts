import { encodeCommitMetadata, encodeProgress } from '../records/commit-metadata.ts'
import type { SourcePartition } from '../records/source-partition.ts'
import type { PartitionCursor } from './cursor.ts'
import { seenSends } from './seen-sends.ts'

/** A source partition of a task with everybody who reads it. */
export interface TaskSource {
  readonly source: SourcePartition
  readonly cursors: readonly PartitionCursor[]
}

/** What is to be committed of a source partition. */
export interface SourceOffset {
  readonly source: SourcePartition
  readonly offset: number
  /** How far each subscription is beyond it, as far as there is room. */
  readonly metadata: string
  /** All of it, where the metadata has no room and everything finished must be in the commit. */
  readonly overflow: string | undefined
}

/**
 * What has changed in these partitions since their last commit. The offset of a partition is the lowest position of those
 * who read it; each one's own goes into the metadata. `complete`: nothing that is finished may be left out. Without that,
 * the next owner handles again what had no room.
 */
export function changedOffsets(
  sources: readonly TaskSource[],
  { appId, complete }: { readonly appId: string; readonly complete: boolean },
): readonly SourceOffset[] {
  return sources.flatMap(({ source, cursors }) => {
    source.sends = seenSends(source.sends, cursors, appId)
    const progress = new Map(cursors.map((cursor) => [cursor.subscription.spec.id, cursor.progress()]))
    const offset = Math.min(...[...progress.values()].map(({ position }) => position))
    const { text: metadata, complete: fits } = encodeCommitMetadata(offset, progress, source.sends)
    const overflow = fits || !complete ? undefined : encodeProgress(offset, progress, source.sends)
    const isSame = source.committed === offset && source.committedMetadata === (overflow ?? metadata)
    return isSame ? [] : [{ source, offset, metadata, overflow }]
  })
}
