import { encodeCommitMetadata, encodeProgress } from '../records/commit-metadata.ts'
import type { SourcePartition } from '../records/source-partition.ts'
import type { PartitionCursor } from './cursor.ts'
import { seenSends } from './seen-sends.ts'
import type { TaskTime } from './task-time.ts'

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

/** What goes into a commit beside positions. */
export interface CommitContent {
  readonly appId: string
  /** Nothing that is finished may be left out. */
  readonly complete: boolean
  /** Where a state of the task keeps to event time. */
  readonly time?: Pick<TaskTime, 'finishedTexts'> | undefined
  /** Of those states. */
  readonly stateTexts?: readonly string[]
}

/**
 * What has changed in these partitions since their last commit. The offset of a partition is the lowest position of those
 * who read it; each one's own goes into the metadata. What has no room there is handled again by the next owner, unless
 * `complete` asks for all of it.
 */
export function changedOffsets(
  sources: readonly TaskSource[],
  { appId, complete, time, stateTexts = [] }: CommitContent,
): readonly SourceOffset[] {
  return sources.flatMap(({ source, cursors }, nth) => {
    source.sends = seenSends(source.sends, cursors, appId)
    const progress = new Map(cursors.map((cursor) => [cursor.subscription.spec.id, cursor.progress()]))
    const offset = Math.min(...[...progress.values()].map(({ position }) => position))
    // States have one place among the partitions: there their entries change with the commit that they belong to.
    const times = time === undefined ? [] : [...(nth === 0 ? stateTexts : []), ...time.finishedTexts(cursors)]
    const { text: metadata, complete: fits } = encodeCommitMetadata(offset, progress, source.sends, times)
    const overflow = fits || !complete ? undefined : encodeProgress(offset, progress, source.sends, times)
    const isSame = source.committed === offset && source.committedMetadata === (overflow ?? metadata)
    return isSame ? [] : [{ source, offset, metadata, overflow }]
  })
}
