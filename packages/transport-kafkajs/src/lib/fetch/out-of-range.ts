import { MillraceError, type LostPosition } from '@millrace/core'

/** For those who cannot go on elsewhere. */
export function throwOutOfRange({ topic, partition, position, beginning, end }: LostPosition): never {
  throw new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `Partition ${topic}/${partition} cannot be read at offset ${position}: it has ${beginning} to ${end}.`,
  )
}
