import { encodeCommitMetadata, encodeProgress } from '../records/commit-metadata.ts'
import type { StateEntry } from '../records/committed-times.ts'
import type { SourcePartition } from '../records/source-partition.ts'
import type { PartitionCursor } from './cursor.ts'
import { seenSends } from './seen-sends.ts'
import type { TaskTime } from './task-time.ts'

/** A source partition of a task with all its readers. */
export interface TaskSource {
  readonly source: SourcePartition
  readonly cursors: readonly PartitionCursor[]
}

/** The contents of a commit for one source partition. */
export interface SourceOffset {
  readonly source: SourcePartition
  readonly offset: number
  /** The progress of each subscription beyond the offset, as far as there is room. */
  readonly metadata: string
  /** The complete text, if the metadata has no room for it and the commit must have everything finished. */
  readonly overflow: string | undefined
}

/** What a commit has besides positions. */
export interface CommitContent {
  readonly appId: string
  /** Whether everything finished must be in the commit. */
  readonly complete: boolean
  /** Present if a state of the task keeps event time. */
  readonly time?: Pick<TaskTime, 'finishedTexts'> | undefined
  /** The entries of those states. */
  readonly stateEntries?: readonly StateEntry[]
}

/**
 * The changes of these partitions since their last commit. The offset of a partition is the lowest position of its
 * readers; the position of each reader goes into the metadata. The next owner handles again what has no room there,
 * unless `complete` asks for everything.
 */
export function changedOffsets(
  sources: readonly TaskSource[],
  { appId, complete, time, stateEntries = [] }: CommitContent,
): readonly SourceOffset[] {
  const homes = stateEntries.map((entry) => homeOf(entry, sources))
  return sources.flatMap(({ source, cursors }, nth) => {
    source.sends = seenSends(source.sends, cursors, appId)
    const progress = new Map(cursors.map((cursor) => [cursor.subscription.spec.id, cursor.progress()]))
    const offset = Math.min(...[...progress.values()].map(({ position }) => position))
    const ofStates = stateEntries.filter((_, entry) => homes[entry] === nth).map(({ text }) => text)
    const times = time === undefined ? [] : [...ofStates, ...time.finishedTexts(cursors)]
    const { text: metadata, complete: fits } = encodeCommitMetadata(offset, progress, source.sends, times)
    const overflow = fits || !complete ? undefined : encodeProgress(offset, progress, source.sends, times)
    const isSame = source.committed === offset && source.committedMetadata === (overflow ?? metadata)
    return isSame ? [] : [{ source, offset, metadata, overflow }]
  })
}

/**
 * The entry of a state goes with one of the partitions, where it changes with the commit to which it belongs: that of the first
 * subscription that wrote the state. A release that reads further topics keeps it there, so one that does not know these topics
 * still finds it.
 */
function homeOf({ writers }: StateEntry, sources: readonly TaskSource[]): number {
  for (const writer of writers) {
    const home = sources.findIndex(({ cursors }) => cursors.some(({ subscription }) => subscription.spec.id === writer))
    if (home >= 0) return home
  }
  return 0
}
