/** The event times in a commit: how far each subscription has finished a partition, and the watermark of each state. */
export interface CommittedTimes {
  /** `EventTimes.finished` of this partition, by subscription. */
  readonly finished: ReadonlyMap<string, number>
  /** The states by name. */
  readonly states: ReadonlyMap<string, CommittedState>
}

/** A state with event time, as of a commit. */
export interface CommittedState {
  readonly watermark: number
  /** The text that the state itself asked to commit. */
  readonly note: string
  /** Ids of the subscriptions that write it. */
  readonly writers: readonly string[]
}

/** The entry of a state in a commit's metadata. */
export interface StateEntry {
  readonly text: string
  /** Ids of the subscriptions that write the state, the first one first. */
  readonly writers: readonly string[]
}

/**
 * The entry of a state that is the newest, out of those committed with the partitions of its task. A release that reads further
 * topics may have left one with a partition that others do not rewrite, from before the state was written there.
 */
export function newestEntry(state: string, known: readonly CommittedTimes[]): CommittedState | undefined {
  const found = known.flatMap(({ states }) => states.get(state) ?? [])
  const isWritten = ({ writers }: CommittedState): number => Number(writers.length > 0)
  return found.toSorted((a, b) => isWritten(b) - isWritten(a) || b.watermark - a.watermark)[0]
}

const RADIX = 36

/**
 * One entry of the metadata: `<{subscription}<{time}:0`, times in base 36. A worker of an earlier release takes the
 * entry for an unknown subscription, and skips it. No subscription looks like this, because `<` in its id would be
 * escaped. `undefined` while there is no time.
 */
export function finishedText(subscription: string, time: number): string | undefined {
  return time === -Infinity ? undefined : `<${encodeURIComponent(subscription)}<${time.toString(RADIX)}:0`
}

/** The same for a state: `<<{state}<{watermark, or nothing}<{note}[<{writer}…]:0`. */
export function stateText(state: string, { watermark, note, writers }: CommittedState): string {
  const fields = [state, watermark === -Infinity ? '' : watermark.toString(RADIX), note, ...writers]
  return `<<${fields.map(encodeURIComponent).join('<')}:0`
}

/** The entries for event time in a commit's metadata, unchanged. */
export function timeTexts(metadata: string): readonly string[] {
  return metadata.includes('<') ? metadata.split(' ').filter(isTimeText) : []
}

/** Whether an entry of the metadata is for event time. */
export function isTimeText(entry: string): boolean {
  return entry.startsWith('<')
}

/** The names of the states with event time, in a commit's metadata. */
export function committedStates(metadata: string): Iterable<string> {
  return committedTimes(metadata).states.keys()
}

/** Times that were written with an offset. Unreadable ones are left out: event time starts over there. */
export function committedTimes(metadata: string): CommittedTimes {
  const finished = new Map<string, number>()
  const states = new Map<string, CommittedState>()
  for (const text of timeTexts(metadata)) {
    if (!text.endsWith(':0')) continue
    const fields = fieldsOf(text)
    if (fields === undefined) continue
    if (text.startsWith('<<')) {
      const [state = '', watermark = '', note = '', ...writers] = fields
      states.set(state, { watermark: timeOf(watermark), note, writers })
    } else {
      const [subscription = '', time = ''] = fields
      finished.set(subscription, timeOf(time))
    }
  }
  return { finished, states }
}

function fieldsOf(text: string): readonly string[] | undefined {
  try {
    return text
      .slice(text.startsWith('<<') ? 2 : 1, -2)
      .split('<')
      .map(decodeURIComponent)
  } catch {
    // A malformed escape, which Millrace does not write.
    return undefined
  }
}

function timeOf(text: string): number {
  const time = Number.parseInt(text, RADIX)
  return Number.isSafeInteger(time) ? time : -Infinity
}
