import type { CommitOffset, PartitionOffsets, TopicPartition } from '@millrace/core'
import { decodeCommitMetadata } from '../commit/commit-metadata.ts'
import type { Progress } from '../commit/offset-range.ts'
import { type AfterLoss, afterLoss, type LossRules } from './after-loss.ts'

export interface StartRules extends LossRules {
  readonly offsetReset: 'earliest' | 'latest'
}

export interface StartPosition {
  readonly offset: number
  /** How far each subscription is beyond it; one that is absent starts at the offset. */
  readonly progress: ReadonlyMap<string, Progress>
  readonly origin: 'committed' | 'reset' | 'lost'
  /** Of a lost one. */
  readonly loss: AfterLoss | undefined
}

/** Where reading of a source partition begins. Throws `OFFSET_OUT_OF_RANGE`. */
export function startPosition(
  partition: TopicPartition,
  known: { readonly committed: CommitOffset | undefined; readonly bounds: PartitionOffsets },
  rules: StartRules,
): StartPosition {
  const { committed, bounds } = known
  if (committed === undefined) {
    const offset = rules.offsetReset === 'earliest' ? bounds.beginning : bounds.end
    return { offset, progress: new Map(), origin: 'reset', loss: undefined }
  }
  const { topic, partition: number } = partition
  const progress = decodeCommitMetadata(committed.offset, committed.metadata)
  if (committed.offset >= bounds.beginning && committed.offset <= bounds.end)
    return { offset: committed.offset, progress, origin: 'committed', loss: undefined }
  const { beginning, end } = bounds
  const loss = afterLoss({ topic, partition: number, position: committed.offset, beginning, end }, rules)
  const { offset } = loss
  // What a subscription has finished of what is left stays finished; of a log that was cut off nothing is known.
  const left = loss.again ? [] : [...progress].map(([id, one]) => [id, progressFrom(offset, one)] as const)
  return { offset, progress: new Map(left), origin: 'lost', loss }
}

/** The same progress, in a partition that begins at `offset`. */
function progressFrom(offset: number, { position, finished }: Progress): Progress {
  if (position >= offset) return { position, finished }
  const left = finished.flatMap(({ from, to }) => (to > offset ? [{ from: Math.max(from, offset), to }] : []))
  return { position: offset, finished: left }
}
