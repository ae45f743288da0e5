import { type CommitOffset, MillraceError, type TopicPartition } from '@millrace/core'
import type { LostPosition, PartitionOffsets } from '@millrace/core/driver'
import type { WorkerSettings } from '../environment/worker-environment.ts'
import { decodeCommitMetadata } from '../records/commit-metadata.ts'
import type { Progress } from '../records/positions.ts'

export type LossRules = Pick<WorkerSettings, 'onOffsetLost' | 'exactlyOnce'>

/** How a source partition goes on whose position is not in the topic any more. */
export interface AfterLoss {
  /** The first offset that the topic has. */
  readonly offset: number
  /** Everything from the beginning of the topic comes again, instead of something being left out. */
  readonly again: boolean
  /** For the log: which records of which partition are lost, and where reading continues. */
  readonly message: string
}

/**
 * What happens when records were deleted before they were read, or the broker has lost some that had been read.
 * `onOffsetLost: 'earliest'` accepts holes under either guarantee, for what is deleted cannot be handled by anybody. It
 * does not make exactly once handle events twice: a log that ends before the position stops the worker there.
 *
 * @throws MillraceError `OFFSET_OUT_OF_RANGE` when the worker must stop.
 */
export function afterLoss({ topic, partition, position, beginning, end }: LostPosition, rules: LossRules): AfterLoss {
  const again = position > end
  // Offsets, for nobody knows any more how many of them were records: transactions and compaction leave some without.
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
  const progress = new Map(
    [...decodeCommitMetadata(committed)].map(([id, one]) => [id, progressUpTo(bounds.end, one)] as const),
  )
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

/**
 * Nobody can have finished what is not there: it is what another program has written, or the broker has lost its end. The
 * records that get those offsets are new ones.
 */
function progressUpTo(end: number, { position, finished }: Progress): Progress {
  const known = finished.flatMap(({ from, to }) => (from < end ? [{ from, to: Math.min(to, end) }] : []))
  return { position: Math.min(position, end), finished: known }
}
