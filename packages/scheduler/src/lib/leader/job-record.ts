import { refuseNewer } from '@millrace/core'
import type { RunResult } from '@millrace/core/operations'

/** What leaders leave to their successors about a job: one row of the scheduler's topic, by the job's name. */
export interface JobRecord {
  /** Worker that wrote it. */
  readonly by: string
  /** Life of the group in which a task ran last. */
  readonly life: string
  /** Every slot up to this one is dealt with, or begun. */
  readonly upToMs: number
  /** Slots that were begun and are not over. */
  readonly open: readonly number[]
  /** Runs that were begun, ever. */
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

/** `undefined` for what is no record. Throws `FORMAT_NEWER`: taken for new, the job would run again. */
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
