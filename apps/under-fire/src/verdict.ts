import type { LoggedRecord } from './read-log.ts'

/** What a run wrote, read back from the broker. */
export interface Evidence {
  readonly numbers: readonly LoggedRecord[]
  readonly copies: readonly LoggedRecord[]
  readonly changelog: readonly LoggedRecord[]
}

/** What became of the numbered records, worked out from the topics alone. */
export interface Verdict {
  /** Records in the source topic. */
  readonly sent: number
  /** Numbers with fewer copies than they have records. */
  readonly lost: readonly string[]
  /** Copies beyond the records: handled again. */
  readonly doubles: number
  /** Keys whose count is lower than their records. */
  readonly short: readonly string[]
  /** Sum of the counts beyond the records. */
  readonly overcounted: number
  /** Rows with a count lower than an earlier row of their key: an old owner has written over a new one. */
  readonly backward: readonly string[]
  /** Longest time in which nothing was handled in a partition, between two of its records. */
  readonly longestGapMs: number
  /** Copies by worker. */
  readonly byWorker: Readonly<Record<string, number>>
}

/** Judges a run. Knows nothing of how it was done: it counts records, and compares. */
export function verdictOf({ numbers, copies, changelog }: Evidence): Verdict {
  const records = countBy(numbers, ({ value }) => text(value))
  const copied = countBy(copies, ({ value }) => wordsOf(value)[0] ?? '')
  const expected = countBy(numbers, ({ key }) => text(key))
  const { counts, backward } = replay(changelog)
  return {
    sent: numbers.length,
    lost: [...records].filter(([number, count]) => (copied.get(number) ?? 0) < count).map(([number]) => number),
    doubles: sum([...records].map(([number, count]) => Math.max((copied.get(number) ?? 0) - count, 0))),
    short: [...expected].filter(([key, count]) => (counts.get(key) ?? 0) < count).map(([key]) => key),
    overcounted: sum([...expected].map(([key, count]) => Math.max((counts.get(key) ?? 0) - count, 0))),
    backward,
    longestGapMs: longestGap(copies),
    byWorker: Object.fromEntries(countBy(copies, ({ value }) => wordsOf(value)[1] ?? '')),
  }
}

function replay(changelog: readonly LoggedRecord[]): {
  readonly counts: ReadonlyMap<string, number>
  readonly backward: readonly string[]
} {
  const counts = new Map<string, number>()
  const backward: string[] = []
  for (const { key, value, partition, offset } of changelog) {
    const name = text(key)
    const count = Number(text(value))
    const before = counts.get(name) ?? 0
    if (count < before) backward.push(`${name}: ${before}, then ${count} at ${partition}@${offset}`)
    counts.set(name, count)
  }
  return { counts, backward }
}

/** Copies are handled in partitions like their numbers: by key, and with as many partitions. */
function longestGap(copies: readonly LoggedRecord[]): number {
  const lastMs = new Map<number, number>()
  let longestMs = 0
  for (const { partition, value } of copies) {
    const atMs = Number(wordsOf(value)[2])
    longestMs = Math.max(longestMs, atMs - (lastMs.get(partition) ?? atMs))
    lastMs.set(partition, atMs)
  }
  return longestMs
}

function countBy(records: readonly LoggedRecord[], nameOf: (record: LoggedRecord) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const record of records) {
    const name = nameOf(record)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

function wordsOf(value: Buffer | null): readonly string[] {
  return text(value).split(' ', 3)
}

function text(bytes: Buffer | null): string {
  return bytes?.toString() ?? ''
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
