import { refuseNewer } from '@millrace/core'

/** Wall times, both of them in it. */
export interface PauseSpan {
  readonly sinceMs: number
  readonly untilMs: number
}

/** The last pause of a job, and those before it. Kept after the end: their slots are not caught up either. */
export interface Pause {
  /** Wall time. */
  readonly sinceMs: number
  /** `undefined`: the job is paused now. */
  readonly untilMs: number | undefined
  /** Those before the last one, oldest first: `MAX_EARLIER` at most. */
  readonly earlier: readonly PauseSpan[]
}

/** Pauses of one job that are remembered besides its last. */
export const MAX_EARLIER = 100

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

export function encodePause({ sinceMs, untilMs, earlier }: Pause): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, sinceMs, untilMs, earlier }))
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
  const { v, sinceMs, untilMs, earlier = [] } = json
  if (v !== VERSION || sinceMs === undefined) return undefined
  return { sinceMs, untilMs, earlier }
}

/** What a word about a job's pause makes of what is known. */
export function nextPause(known: Pause | undefined, isPaused: boolean, nowMs: number): Pause {
  if (known === undefined) return { sinceMs: nowMs, untilMs: isPaused ? undefined : nowMs, earlier: [] }
  const { sinceMs, untilMs, earlier } = known
  if (untilMs === undefined) return isPaused ? known : { ...known, untilMs: nowMs }
  if (!isPaused) return known
  return { sinceMs: nowMs, untilMs: undefined, earlier: [...earlier, { sinceMs, untilMs }].slice(-MAX_EARLIER) }
}

/** Whether a slot does not run because of a pause. While one lasts none does, whatever its time. */
export function covers({ sinceMs, untilMs, earlier }: Pause, slotMs: number): boolean {
  return untilMs === undefined || [...earlier, { sinceMs, untilMs }].some((span) => isIn(span, slotMs))
}

function isIn({ sinceMs, untilMs }: PauseSpan, slotMs: number): boolean {
  return slotMs >= sinceMs && slotMs <= untilMs
}
