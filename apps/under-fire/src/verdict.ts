import { Deliveries, type LoggedRecord, missing } from '@millrace/verifier'

/** What a run wrote, read back from the broker. */
export interface Evidence {
  readonly numbers: readonly LoggedRecord[]
  readonly copies: readonly LoggedRecord[]
  readonly changelog: readonly LoggedRecord[]
}

/** What became of the numbered records, worked out from the topics alone. */
export interface FireVerdict {
  /** Records in the source topic. */
  readonly sent: number
  /** Numbers with fewer copies than they have records. */
  readonly lost: readonly string[]
  /** Copies beyond the records: handled again. */
  readonly doubles: number
  /** Keys whose count is lower than their records. */
  readonly short: readonly string[]
  /** Sum of the counts beyond the records: counted again. */
  readonly overcounted: number
  /** Rows with a count lower than an earlier row of their key: an old owner has written over a new one. */
  readonly backward: readonly string[]
  /** Longest time in which nothing was handled in a partition, between two of its records. */
  readonly longestGapMs: number
  /** Copies by worker. */
  readonly byWorker: Readonly<Record<string, number>>
}

/** What holds in every run: at least once. Counts may be too high, never too low, and no row goes back. */
export const NOTHING_LOST: Partial<FireVerdict> = { lost: [], short: [], backward: [] }

/** What holds exactly once, whatever happened; and at least once, when every worker stopped cleanly. */
export const EXACT: Partial<FireVerdict> = { ...NOTHING_LOST, doubles: 0, overcounted: 0 }

/** Judges a run. Knows nothing of how it was done: it counts records, and compares. */
export function verdictOf({ numbers, copies, changelog }: Evidence): FireVerdict {
  const copied = new Deliveries<string>('copies')
  for (const { value, partition, offset } of copies) copied.add(wordsOf(value)[0] ?? '', `${partition}@${offset}`)
  const counted = new Deliveries<string>('counts')
  const backward: string[] = []
  for (const { key, value, partition, offset } of changelog) {
    const [name, count] = [text(key), Number(text(value))]
    const before = counted.times(name)
    if (count < before) backward.push(`${name}: ${before}, then ${count} at ${partition}@${offset}`)
    counted.set(name, count)
  }
  const handled = copied.verdict(countBy(numbers, ({ value }) => text(value)))
  const rows = counted.verdict(countBy(numbers, ({ key }) => text(key)))
  return {
    sent: numbers.length,
    lost: handled.lost.map(({ id }) => id),
    doubles: missing(handled.again),
    short: rows.lost.map(({ id }) => id),
    overcounted: missing(rows.again),
    backward,
    longestGapMs: longestGap(copies),
    byWorker: Object.fromEntries(countBy(copies, ({ value }) => wordsOf(value)[1] ?? '')),
  }
}

/** One line of figures for whoever reads the run. */
export function tellFigures(what: string, verdict: FireVerdict): void {
  const { sent, lost, doubles, overcounted, longestGapMs, byWorker } = verdict
  const shares = Object.entries(byWorker).map(([worker, count]) => `${worker} ${count}`)
  console.log(
    `${what}: ${sent} records, ${lost.length} lost, ${doubles} handled again, ${overcounted} counted again, longest gap ${longestGapMs} ms; ${shares.join(', ')}`,
  )
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
  for (const record of records) counts.set(nameOf(record), (counts.get(nameOf(record)) ?? 0) + 1)
  return counts
}

function wordsOf(value: Buffer | null): readonly string[] {
  return text(value).split(' ', 3)
}

function text(bytes: Buffer | null): string {
  return bytes?.toString() ?? ''
}
