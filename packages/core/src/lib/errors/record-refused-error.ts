import type { OutgoingRecord, RawHeaders } from '../../contracts/record.ts'
import { isMillraceError, MillraceError } from './millrace-error.ts'

/** The broker refused a record of an event for good. Its cause is what the broker said. */
export class RecordRefusedError extends MillraceError {
  /** Of the record. */
  readonly topic: string
  /** Of the record. */
  readonly headers: RawHeaders

  constructor(record: Pick<OutgoingRecord, 'topic' | 'headers'>, detail: string, options: { readonly cause: unknown }) {
    super('RECORD_REFUSED', detail, options)
    this.topic = record.topic
    this.headers = record.headers
  }

  /** The broker takes no record of that size. */
  get isTooLarge(): boolean {
    return isMillraceError(this.cause, 'RECORD_TOO_LARGE')
  }
}
