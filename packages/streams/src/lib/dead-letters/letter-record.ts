import { isMillraceError, type RawHeaders, type RawRecord } from '@millrace/core'
import type { DeadLetterSummary } from '@millrace/core/operations'
import { type LetterFacts, readLetterHeaders } from './letter-headers.ts'

/** A record of a dead letter topic, taken apart. */
export interface LetterRecord {
  readonly summary: DeadLetterSummary
  readonly stack: string
  /** Headers that the record had before it became a letter. */
  readonly own: RawHeaders
  readonly record: RawRecord
  /** What the letter lacks of its record, with sizes; empty when it has all of it. */
  readonly trimmed: string
}

/**
 * Any record can be in a dead letter topic; of one that Millrace did not write only its place is known. Of one that a later
 * version has written it is the error that says so: it can be sent back by that version.
 */
export function letterRecord(partition: number, record: RawRecord, replayed: boolean): LetterRecord {
  const place = { partition, offset: record.offset, replayed }
  const read = readHeaders(record.headers)
  if (read === undefined || 'code' in read) {
    const failure = { code: read?.code ?? '', class: '', message: read?.detail ?? '', attempts: 0 }
    const summary = { ...place, source: undefined, failure, failedAt: undefined }
    return { summary, stack: '', own: record.headers, record, trimmed: '' }
  }
  const { facts, own } = read
  const { topic, offset, timestamp, code, message, attempts, failedAt, stack } = facts
  return {
    summary: {
      ...place,
      source: { topic, partition: facts.partition, offset, timestamp },
      failure: { code, class: facts.class, message, attempts: Number.isNaN(attempts) ? 0 : attempts },
      failedAt: Number.isNaN(failedAt) ? undefined : failedAt,
    },
    stack,
    own,
    record,
    trimmed: facts.trimmed,
  }
}

function readHeaders(
  headers: RawHeaders,
):
  | { readonly facts: LetterFacts; readonly own: RawHeaders }
  | { readonly code: string; readonly detail: string }
  | undefined {
  try {
    return readLetterHeaders(headers)
  } catch (thrown) {
    if (isMillraceError(thrown, 'FORMAT_NEWER')) return thrown
    throw thrown
  }
}

/** The letter that failed last first; of those that do not say when, the one with the higher offset. */
export function byFailure(a: DeadLetterSummary, b: DeadLetterSummary): number {
  return (b.failedAt ?? 0) - (a.failedAt ?? 0) || b.offset - a.offset || a.partition - b.partition
}
