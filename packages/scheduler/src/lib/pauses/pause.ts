import { refuseNewer } from '@millrace/core'

/** Wall times, both inclusive. */
export interface PauseSpan {
  readonly sinceMs: number
  readonly untilMs: number
}

/** What the person who pauses says, for others. */
export interface PauseNote {
  /** Who pauses. */
  readonly by?: string | undefined
  readonly why?: string | undefined
}

/**
 * The last pause of a job or an agent, and those before it. Kept after its end, because slots of a job in it are not
 * caught up later either.
 */
export interface Pause extends PauseNote {
  /** Wall time. */
  readonly sinceMs: number
  /** `undefined`: it is paused now. */
  readonly untilMs: number | undefined
  /** Pauses before the last one, oldest first: at most `MAX_EARLIER`. */
  readonly earlier: readonly PauseSpan[]
}

/** Pauses of one job or agent remembered besides the last. */
export const MAX_EARLIER = 100

const VERSION = 1
/** A prefix that no job name can have: the rows of jobs have their names as keys. */
const PREFIX = 'pause:'
/** Follows `PREFIX` for agents. Earlier versions take such a row for the pause of a job that is gone. */
const AGENT = 'agent:'
/** Characters of `by` and of `why` that are kept. */
const LONGEST_NOTE = 500

type PauseJson = Partial<Pause> & { readonly v?: number }

/** A job or an agent. */
export interface Pausable {
  readonly kind: 'job' | 'agent'
  readonly name: string
}

/** For messages: `job "daily"`. */
export function describePausable({ kind, name }: Pausable): string {
  return `${kind} "${name}"`
}

/** The key of a pause in the scheduler's topic. */
export function pauseKey({ kind, name }: Pausable): string {
  return PREFIX + (kind === 'agent' ? AGENT : '') + name
}

/** What is paused by the row under a key; `undefined` for rows that are no pauses. */
export function pausedBy(key: string): Pausable | undefined {
  if (!key.startsWith(PREFIX)) return undefined
  const name = key.slice(PREFIX.length)
  return name.startsWith(AGENT) ? { kind: 'agent', name: name.slice(AGENT.length) } : { kind: 'job', name }
}

export function encodePause({ sinceMs, untilMs, earlier, by, why }: Pause): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, sinceMs, untilMs, earlier, by, why }))
}

/** `undefined` for bytes that are not a pause. Throws `FORMAT_NEWER`: ignoring such a pause would run what is paused. */
export function decodePause(bytes: Buffer, what: Pausable): Pause | undefined {
  let json: PauseJson
  try {
    json = JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
  refuseNewer(`The pause of ${describePausable(what)}`, json.v, VERSION)
  const { v, sinceMs, untilMs, earlier = [], by, why } = json
  if (v !== VERSION || sinceMs === undefined) return undefined
  return { sinceMs, untilMs, earlier, ...noteOf({ by, why }) }
}

/** Applies a new row about a pause to the known pause. */
export function nextPause(known: Pause | undefined, isPaused: boolean, nowMs: number, note: PauseNote = {}): Pause {
  const said = noteOf(note)
  if (known === undefined) return { sinceMs: nowMs, untilMs: isPaused ? undefined : nowMs, earlier: [], ...said }
  const { sinceMs, untilMs, earlier } = known
  if (untilMs === undefined) return isPaused ? { ...known, ...said } : { ...known, untilMs: nowMs }
  if (!isPaused) return known
  const before = [...earlier, { sinceMs, untilMs }].slice(-MAX_EARLIER)
  return { sinceMs: nowMs, untilMs: undefined, earlier: before, ...said }
}

/** Without what is left out. */
function noteOf({ by, why }: PauseNote): PauseNote {
  return {
    ...(typeof by === 'string' ? { by: by.slice(0, LONGEST_NOTE) } : {}),
    ...(typeof why === 'string' ? { why: why.slice(0, LONGEST_NOTE) } : {}),
  }
}

/** Whether a slot is skipped because of a pause. During a pause every slot is, whatever its time. */
export function covers({ sinceMs, untilMs, earlier }: Pause, slotMs: number): boolean {
  return untilMs === undefined || [...earlier, { sinceMs, untilMs }].some((span) => isIn(span, slotMs))
}

function isIn({ sinceMs, untilMs }: PauseSpan, slotMs: number): boolean {
  return slotMs >= sinceMs && slotMs <= untilMs
}
