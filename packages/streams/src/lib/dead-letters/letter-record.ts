import { isMillraceError, type RawHeaders, type RawRecord } from '@millrace/core'
import type { DeadLetterSummary } from '@millrace/core/operations'
import { dueIn } from './due-letter.ts'
import { type LetterFacts, readLetterHeaders } from './letter-headers.ts'

/** A parsed record of a dead letter topic. */
export interface LetterRecord {
  readonly summary: DeadLetterSummary
  readonly stack: string
  /** The id of the event; `undefined` if the letter does not tell. */
  readonly id: string | undefined
  /** The record's headers before it became a letter. */
  readonly own: RawHeaders
  readonly record: RawRecord
  /** The parts missing from the letter, with their sizes; empty when it is whole. */
  readonly trimmed: string
}

/**
 * A dead letter topic can contain any record. A record that Millrace did not write has only a place. A record from a
 * later version becomes an error that says so: that version can replay it.
 */
export function letterRecord(partition: number, record: RawRecord, replayed: boolean): LetterRecord {
  const place = { partition, offset: record.offset, replayed }
  const read = readHeaders(record.headers)
  if (read === undefined || 'code' in read) {
    const failure = { code: read?.code ?? '', class: '', message: read?.detail ?? '', attempts: 0 }
    const summary = { ...place, source: undefined, due: undefined, failure, failedAt: undefined }
    return { summary, stack: '', id: undefined, own: record.headers, record, trimmed: '' }
  }
  const { facts, own } = read
  const { topic, offset, timestamp, code, message, attempts, failedAt, stack } = facts
  const due = dueIn(facts, record.key, own)
  return {
    summary: {
      ...place,
      source: due === undefined ? { topic, partition: facts.partition, offset, timestamp } : undefined,
      due,
      failure: {
        code,
        class: facts.class,
        message,
        attempts: Number.isNaN(attempts) ? 0 : attempts,
        ...firstOf(facts),
      },
      failedAt: Number.isNaN(failedAt) ? undefined : failedAt,
    },
    stack,
    id: facts.id === '' ? undefined : facts.id,
    own,
    record,
    trimmed: facts.trimmed,
  }
}

function firstOf(facts: LetterFacts): Pick<DeadLetterSummary['failure'], 'first'> {
  const at = Number(facts.firstFailedAt)
  if (facts.firstFailedAt === '' || !Number.isSafeInteger(at)) return {}
  return { first: { at, code: facts.firstCode, class: facts.firstClass, message: facts.firstMessage } }
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

/** The latest failure first; letters without a failure time by descending offset. */
export function byFailure(a: DeadLetterSummary, b: DeadLetterSummary): number {
  return (b.failedAt ?? 0) - (a.failedAt ?? 0) || b.offset - a.offset || a.partition - b.partition
}
