import { type LostPosition, MillraceError } from '@millrace/core'

export interface LossRules {
  readonly onOffsetLost: 'stop' | 'earliest'
  readonly exactlyOnce: boolean
}

/** How a source partition goes on whose position is not in the topic any more. */
export interface AfterLoss {
  /** The first offset that the topic has. */
  readonly offset: number
  /** Everything from the beginning of the topic comes again, instead of something being left out. */
  readonly again: boolean
  /** For the log: what is lost of which partition, and where reading goes on. */
  readonly told: string
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
  // Offsets, for nobody can tell any more how many of them were records: transactions and compaction leave some without.
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
  return { offset: beginning, again, told: `${what}. Reading goes on at ${beginning} (onOffsetLost: 'earliest').` }
}
