import { type CommitOffset, MillraceError, partitionKey } from '@millrace/core'
import {
  ANY_SUBSCRIPTION,
  committedSends,
  decodeCommitMetadata,
  encodeCommitMetadata,
  type OffsetRange,
  type Progress,
  timeTexts,
} from '@millrace/worker'

/**
 * The commit that marks `range` as finished for every subscription of a group and changes nothing else; `undefined` if
 * the range is already finished. A commit that names no subscription counts for all of them.
 *
 * Throws `SKIP_REFUSED` if the commit has no room for the range.
 */
export function planSkip(committed: CommitOffset, range: OffsetRange): CommitOffset | undefined {
  const { offset } = committed
  const known = decodeCommitMetadata(committed)
  const before = known.size === 0 ? new Map([[ANY_SUBSCRIPTION, { position: offset, finished: [] }]]) : known
  const after = new Map([...before].map(([id, progress]) => [id, withFinished(progress, range)]))
  if ([...before].every(([id, progress]) => sameProgress(progress, after.get(id)))) return undefined
  const lowest = Math.min(...[...after.values()].map(({ position }) => position))
  const { text, complete } = encodeCommitMetadata(
    lowest,
    after,
    committedSends(committed.metadata),
    timeTexts(committed.metadata),
  )
  if (!complete)
    throw new MillraceError(
      'SKIP_REFUSED',
      `The commit of ${partitionKey(committed)} at offset ${offset} has no room for another gap: its agents have finished too much out of order. Start a worker with onBatchError 'skip' instead.`,
    )
  return { ...committed, offset: lowest, metadata: text }
}

function withFinished({ position, finished }: Progress, range: OffsetRange): Progress {
  const merged: OffsetRange[] = []
  let next = position
  for (const { from, to } of [...finished, range].toSorted((a, b) => a.from - b.from)) {
    if (to <= next) continue
    const last = merged.at(-1)
    if (last === undefined && from <= next) next = to
    else if (last !== undefined && from <= last.to)
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, to) }
    else merged.push({ from, to })
  }
  return { position: next, finished: merged }
}

function sameProgress(a: Progress, b: Progress | undefined): boolean {
  return a.position === b?.position && JSON.stringify(a.finished) === JSON.stringify(b.finished)
}
