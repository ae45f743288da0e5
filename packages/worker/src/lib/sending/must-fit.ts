import { MillraceError } from '@millrace/core'
import type { Outgoing } from './outgoing.ts'

/** Throws `RECORD_TOO_LARGE`. */
export function mustFit({ topic, size }: Outgoing, maxRecordBytes: number): void {
  if (size > maxRecordBytes)
    throw new MillraceError(
      'RECORD_TOO_LARGE',
      `A record of ${size} bytes for ${topic} is larger than ${maxRecordBytes} (maxRecordBytes).`,
    )
}
