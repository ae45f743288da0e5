import { refuseNewer } from '@millrace/core'

/** Wall times, both inclusive. */
export interface PauseSpan {
  readonly sinceMs: number
  readonly untilMs: number
}

/**
 * The last pause of a job, and those before it. Kept after its end, because slots in it are not caught up later either.
 */
export interface Pause {
  /** Wall time. */
  readonly sinceMs: number
  /** `undefined`: the job is paused now. */
  readonly untilMs: number | undefined
  /** Pauses before the last one, oldest first: at most `MAX_EARLIER`. */
  readonly earlier: readonly PauseSpan[]
}

/** Pauses of one job remembered besides the last. */
export const MAX_EARLIER = 100

const VERSION = 1
/** A prefix that no job name can have: the rows of jobs have their names as keys. */
const PREFIX = 'pause:'

type PauseJson = Partial<Pause> & { readonly v?: number }

/** The key of a job's pause in the scheduler's topic. */
export function pauseKey(job: string): string {
  return PREFIX + job
}

/** The job whose pause is stored under a key; `undefined` for other rows. */
export function pausedJob(key: string): string | undefined {
  return key.startsWith(PREFIX) ? key.slice(PREFIX.length) : undefined
}

export function encodePause({ sinceMs, untilMs, earlier }: Pause): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, sinceMs, untilMs, earlier }))
}

/** `undefined` for bytes that are not a pause. Throws `FORMAT_NEWER`: ignoring such a pause would run a paused job. */
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

/** Applies a new row about a job's pause to the known pause. */
export function nextPause(known: Pause | undefined, isPaused: boolean, nowMs: number): Pause {
  if (known === undefined) return { sinceMs: nowMs, untilMs: isPaused ? undefined : nowMs, earlier: [] }
  const { sinceMs, untilMs, earlier } = known
  if (untilMs === undefined) return isPaused ? known : { ...known, untilMs: nowMs }
  if (!isPaused) return known
  return { sinceMs: nowMs, untilMs: undefined, earlier: [...earlier, { sinceMs, untilMs }].slice(-MAX_EARLIER) }
}

/** Whether a slot is skipped because of a pause. During a pause every slot is, whatever its time. */
export function covers({ sinceMs, untilMs, earlier }: Pause, slotMs: number): boolean {
  return untilMs === undefined || [...earlier, { sinceMs, untilMs }].some((span) => isIn(span, slotMs))
}

function isIn({ sinceMs, untilMs }: PauseSpan, slotMs: number): boolean {
  return slotMs >= sinceMs && slotMs <= untilMs
}
