import { refuseNewer } from '@millrace/core'

/** When a job was paused, and if it is over, until when. Kept after the end: its slots are not caught up either. */
export interface Pause {
  /** Wall time. */
  readonly sinceMs: number
  /** `undefined`: the job is paused now. */
  readonly untilMs: number | undefined
}

const VERSION = 1
/** No job has such a name: the rows of jobs have their names for keys. */
const PREFIX = 'pause:'

type PauseJson = Partial<Pause> & { readonly v?: number }

/** Where the pause of a job is kept in the scheduler's topic. */
export function pauseKey(job: string): string {
  return PREFIX + job
}

/** The job whose pause is under a key; `undefined` for other rows. */
export function pausedJob(key: string): string | undefined {
  return key.startsWith(PREFIX) ? key.slice(PREFIX.length) : undefined
}

export function encodePause({ sinceMs, untilMs }: Pause): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, sinceMs, untilMs }))
}

/** `undefined` for what is no pause. Throws `FORMAT_NEWER`: passed over, a paused job would run. */
export function decodePause(bytes: Buffer, job: string): Pause | undefined {
  let json: PauseJson
  try {
    json = JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
  refuseNewer(`The pause of job "${job}"`, json.v, VERSION)
  const { v, sinceMs, untilMs } = json
  if (v !== VERSION || sinceMs === undefined) return undefined
  return { sinceMs, untilMs }
}

/** Whether a slot does not run because of the pause. While it lasts none does, whatever its time. */
export function covers({ sinceMs, untilMs }: Pause, slotMs: number): boolean {
  return untilMs === undefined || (slotMs >= sinceMs && slotMs <= untilMs)
}
