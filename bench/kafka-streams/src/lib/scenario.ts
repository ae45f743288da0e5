/** An operator with its options. All spans are milliseconds. Java reads the same: `java/Answers.java`. */
export type Operator = WindowOperator | StreamJoinOperator | TableJoinOperator

export type WindowOperator =
  | { readonly kind: 'tumbling'; readonly size: number; readonly grace: number }
  | { readonly kind: 'hopping'; readonly size: number; readonly every: number; readonly grace: number }
  | { readonly kind: 'sliding'; readonly difference: number; readonly grace: number }
  | { readonly kind: 'session'; readonly gap: number; readonly grace: number }

export interface StreamJoinOperator {
  readonly kind: 'stream-stream'
  readonly join: 'inner' | 'left' | 'outer'
  readonly before: number
  readonly after: number
  readonly grace: number
}

export type TableJoinOperator =
  /** With `on`, and in the kinds below it, a value of the left side refers to a key: see `referenceOf`. */
  | { readonly kind: 'stream-table'; readonly join: 'inner' | 'left'; readonly on: boolean }
  | { readonly kind: 'global-table'; readonly join: 'inner' | 'left' }
  | { readonly kind: 'table-table'; readonly join: 'inner' | 'left' | 'outer' }
  | { readonly kind: 'foreign-key'; readonly join: 'inner' | 'left' }

export interface ScenarioRecord {
  /** Windows read `left` alone; a table is the `right` topic. */
  readonly topic: 'left' | 'right'
  readonly key: string
  readonly value: string | null
  readonly timestamp: number
}

/** A question: what does this operator make of these records, handled one by one in this order? */
export interface Scenario {
  readonly name: string
  readonly operator: Operator
  /**
   * `'all'`: all records, which are in the order of their times, are there before Millrace starts, one topic behind the
   * other. It has to bring them into that order itself, as in a replay.
   */
  readonly arrival?: 'all'
  readonly records: readonly ScenarioRecord[]
}

export interface Result {
  /** The number of the record with which it came. */
  readonly after: number
  readonly key: string | null
  /** Start and end. A tumbling or hopping window does not contain its end, a sliding one and a session do. */
  readonly window?: readonly [start: number, end: number]
  /** For windows: the values in them, sorted. For joins: `{left}-{right}`. */
  readonly value: string | null
  readonly timestamp: number
}

export interface Answer {
  /** In the order in which they came; of windows, their updates. */
  readonly results: readonly Result[]
  /** Windows that have closed. */
  readonly closed?: readonly Result[]
  /** The numbers of the records that were late. */
  readonly late: readonly number[]
}

/** What a value such as `a/12` refers to; `/12` refers to nothing. */
export function referenceOf(value: string): string | null {
  const end = value.indexOf('/')
  return end < 1 ? null : value.slice(0, end)
}

export function isWindow(operator: Operator): operator is WindowOperator {
  return !('join' in operator)
}
