import { type CommitOffset, MillraceError, type TopicPartition } from '@millrace/core'
import type { LostPosition, PartitionOffsets } from '@millrace/core/driver'
import type { WorkerSettings } from '../environment/worker-environment.ts'
import { decodeCommitMetadata } from '../records/commit-metadata.ts'
import type { Progress } from '../records/positions.ts'

export type LossRules = Pick<WorkerSettings, 'onOffsetLost' | 'exactlyOnce'>

/** How reading of a source partition continues if the topic no longer has its position. */
export interface AfterLoss {
  /** The first offset that the topic has. */
  readonly offset: number
  /** True if reading restarts at the beginning of the topic, and events are repeated rather than skipped. */
  readonly again: boolean
  /** A log message: which records of which partition are lost, and where reading continues. */
  readonly message: string
}

/**
 * What happens if records were deleted before they were read, or the broker has lost records that had been read.
 * `onOffsetLost: 'earliest'` accepts holes under either guarantee, because nobody can handle deleted records. It does
 * not make exactly once handle events twice: if a log ends before the position, the worker stops there.
 *
 * @throws MillraceError `OFFSET_OUT_OF_RANGE` when the worker must stop.
 */
export function afterLoss({ topic, partition, position, beginning, end }: LostPosition, rules: LossRules): AfterLoss {
  const again = position > end
  // Counts offsets, because the number of records among them is unknown: transactions and compaction leave offsets
  // without records.
  const lost = beginning - position
  const what = again
    ? `Topic "${topic}" partition ${partition} ends at offset ${end}, before ${position}, which had been read: its broker has lost records`
    : `Topic "${topic}" partition ${partition} begins at offset ${beginning}: ${lost} ${lost === 1 ? 'record was' : 'records were'} deleted before being read, offsets ${position} to ${beginning - 1}`
  if (rules.onOffsetLost === 'stop') throw new MillraceError('OFFSET_OUT_OF_RANGE', `${what} (onOffsetLost: 'stop').`)
  if (again && rules.exactlyOnce)
    throw new MillraceError(
      'OFFSET_OUT_OF_RANGE',
      `${what}. To go on at ${beginning} (onOffsetLost: 'earliest') would handle events twice, which processingGuarantee 'exactly-once' rules out.`,
    )
  return { offset: beginning, again, message: `${what}. Reading goes on at ${beginning} (onOffsetLost: 'earliest').` }
}

export type StartRules = LossRules & Pick<WorkerSettings, 'offsetReset'>

export interface StartPosition {
  readonly offset: number
  /** How far each subscription is beyond the offset; an absent subscription starts at the offset. */
  readonly progress: ReadonlyMap<string, Progress>
  readonly origin: 'committed' | 'reset' | 'lost'
  /** Set if the committed position is lost. */
  readonly loss: AfterLoss | undefined
}

/** The offset at which reading of a source partition begins. Throws `OFFSET_OUT_OF_RANGE`. */
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
  const progress = new Map(
    [...decodeCommitMetadata(committed)].map(([id, one]) => [id, progressUpTo(bounds.end, one)] as const),
  )
  if (committed.offset >= bounds.beginning && committed.offset <= bounds.end)
    return { offset: committed.offset, progress, origin: 'committed', loss: undefined }
  const { beginning, end } = bounds
  const loss = afterLoss({ topic, partition: number, position: committed.offset, beginning, end }, rules)
  const { offset } = loss
  // Progress on the records that are left stays valid; of a truncated log nothing is known.
  const left = loss.again ? [] : [...progress].map(([id, one]) => [id, progressFrom(offset, one)] as const)
  return { offset, progress: new Map(left), origin: 'lost', loss }
}

/** The same progress, in a partition that begins at `offset`. */
function progressFrom(offset: number, { position, finished }: Progress): Progress {
  if (position >= offset) return { position, finished }
  const left = finished.flatMap(({ from, to }) => (to > offset ? [{ from: Math.max(from, offset), to }] : []))
  return { position: offset, finished: left }
}

/**
 * Drops progress beyond the end of the log, which is that of another program or of records that the broker has lost.
 * Those offsets will be given to new records.
 */
function progressUpTo(end: number, { position, finished }: Progress): Progress {
  const known = finished.flatMap(({ from, to }) => (from < end ? [{ from, to: Math.min(to, end) }] : []))
  return { position: Math.min(position, end), finished: known }
}
