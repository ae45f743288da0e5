import { type Duration, formatDuration, MillraceError, shownValue, wholeMilliseconds } from '@millrace/core'
import { type DueRules, keyIn } from '@millrace/state'
import { encodeKept, type KeptEvent, type Side } from './join-entries.ts'

/** `'inner'`: only pairs. `'left'`: also unmatched events of the left side. `'outer'`: also those of both sides. */
export type StreamJoinKind = 'inner' | 'left' | 'outer'

/** The spans of a join, as the user gives them. */
export interface JoinSpans {
  readonly within?: Duration | undefined
  readonly before?: Duration | undefined
  readonly after?: Duration | undefined
  readonly grace?: Duration | undefined
}

/** Which events of two streams match, and how long an event waits for a match; times in milliseconds. */
export class JoinRules {
  readonly kind: StreamJoinKind
  /** The length of time that one row of waiting events covers. */
  readonly bucketMs: number
  readonly #beforeMs: number
  readonly #afterMs: number
  readonly #graceMs: number

  /** `where`: for messages. Throws `JOIN_INVALID`. */
  constructor(where: string, kind: StreamJoinKind, { within, before, after, grace }: JoinSpans) {
    if (kind !== 'inner' && kind !== 'left' && kind !== 'outer')
      throw new MillraceError(
        'JOIN_INVALID',
        `kind of ${where} is ${shownValue(kind)}; it takes 'inner', 'left' or 'outer'.`,
      )
    const hasBoth = before !== undefined || after !== undefined
    if (within === undefined && !hasBoth)
      throw new MillraceError('JOIN_INVALID', `${where} has no span: events would wait for ever.`)
    if (within !== undefined && hasBoth)
      throw new MillraceError(
        'JOIN_INVALID',
        `${where} has both within and ${before === undefined ? 'after' : 'before'}.`,
      )
    this.kind = kind
    const span = (what: string, value: Duration): number =>
      wholeMilliseconds(value, `${what} of ${where}`, 'JOIN_INVALID')
    this.#beforeMs = span(within === undefined ? 'before' : 'within', within ?? before ?? 0)
    this.#afterMs = span(within === undefined ? 'after' : 'within', within ?? after ?? 0)
    this.#graceMs = span('grace', grace ?? 0)
    this.bucketMs = Math.max(1, this.#beforeMs + this.#afterMs)
  }

  /** The times of the other side's events that match an event; both ends are included. */
  meets(side: Side, time: number): { readonly from: number; readonly to: number } {
    return side === 'left'
      ? { from: time - this.#beforeMs, to: time + this.#afterMs }
      : { from: time - this.#afterMs, to: time + this.#beforeMs }
  }

  /** The last event time at which an event can still be matched. */
  deadline(side: Side, time: number): number {
    return time + (side === 'left' ? this.#afterMs : this.#beforeMs) + this.#graceMs
  }

  /** How long after the time of its row an event may still be matched. */
  get lastsMs(): number {
    return this.bucketMs + Math.max(this.#beforeMs, this.#afterMs) + this.#graceMs
  }

  /** Whether an unmatched event of this side is given out. */
  isGivenAlone(side: Side): boolean {
    return this.kind === 'outer' || (this.kind === 'left' && side === 'left')
  }

  /** The row of a time. */
  bucketOf(time: number): number {
    return Math.floor(time / this.bucketMs) * this.bucketMs
  }

  /** The span in words. */
  toString(): string {
    return `${formatDuration(this.#beforeMs)} before to ${formatDuration(this.#afterMs)} after`
  }
}

/** A row of a join is due with its first event that has to be given out unmatched. */
export function dueRules(rules: JoinRules, keyCodec: string): DueRules<readonly KeptEvent[]> {
  const endOf = ({ side, time }: KeptEvent): number => rules.deadline(side, time) + 1
  const waits = ({ side, isMatched }: KeptEvent): boolean => !isMatched && rules.isGivenAlone(side)
  const dueOf = (kept: readonly KeptEvent[]): number | undefined => {
    let first: number | undefined
    for (const each of kept) {
      if (!waits(each)) continue
      const end = endOf(each)
      if (first === undefined || end < first) first = end
    }
    return first
  }
  return {
    keyCodec,
    clock: 'event',
    dueOf,
    lastsMs: rules.lastsMs,
    fired(kept) {
      const due = dueOf(kept) ?? -Infinity
      const left = kept.filter((each) => endOf(each) > due)
      return left.length === 0 ? undefined : left
    },
    record(row, kept) {
      const due = dueOf(kept)
      const alone = kept.filter((each) => waits(each) && endOf(each) === due)
      return { key: keyIn(row), value: encodeKept(alone), headers: [] }
    },
  }
}
