import { refuseNewer } from '@millrace/core'
import type { RunResult } from '@millrace/core/operations'

/** What leaders tell their successors about a job: one row of the scheduler's topic, under the job's name. */
export interface JobRecord {
  /** The worker that wrote it. */
  readonly by: string
  /** The life of the group in which a task last ran. */
  readonly life: string
  /** Every slot up to this one has been handled or begun. */
  readonly upToMs: number
  /** Slots begun but not finished. */
  readonly open: readonly number[]
  /** Runs begun in total. */
  readonly runs: number
  readonly last:
    | { readonly slotMs: number; readonly startedAtMs: number; readonly durationMs: number; readonly result: RunResult }
    | undefined
}

const VERSION = 1

type RecordJson = Partial<JobRecord> & { readonly v?: number }

export function encodeJobRecord(record: JobRecord): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, ...record }))
}

/**
 * `undefined` for bytes that are not a record. Throws `FORMAT_NEWER`: treating such a record as new would run the job
 * again.
 */
export function decodeJobRecord(bytes: Buffer, job: string): JobRecord | undefined {
  let json: RecordJson
  try {
    json = JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
  refuseNewer(`What leaders have noted about job "${job}"`, json.v, VERSION)
  const { v, by, life, upToMs, open, runs, last } = json
  if (
    v !== VERSION ||
    by === undefined ||
    life === undefined ||
    upToMs === undefined ||
    open === undefined ||
    runs === undefined
  )
    return undefined
  return { by, life, upToMs, open, runs, last }
}
