export const SIZE_MS = 400
export const GAP_MS = 300
export const DIFFERENCE_MS = 250

const GROUPS = 3
const PARTITIONS = 4

export function groupOf(number: number): string {
  return `group-${number % GROUPS}`
}

export interface TimedEntry {
  readonly partition: number
  readonly key: Buffer | string | null
  readonly timestamp: number
  readonly number: number
}

/** The windows and sessions that must close, and how many events are in each: from the input alone, by brute force. */
export function mustClose(records: readonly TimedEntry[]): ReadonlyMap<string, number> {
  const closed = new Map<string, number>()
  // The clock of a run knows parts of milliseconds, windows do not.
  const whole = records.map((record) => ({ ...record, key: String(record.key), time: Math.floor(record.timestamp) }))
  const last = new Map<number, number>()
  for (const { partition, time } of whole) last.set(partition, Math.max(last.get(partition) ?? 0, time))
  for (const key of new Set(whole.map((record) => record.key))) {
    const own = whole.filter((record) => record.key === key)
    const times = own.map(({ time }) => time).toSorted((a, b) => a - b)
    const end = last.get(own[0]?.partition ?? 0) ?? 0
    for (const [span, count] of spansOf(times, end)) closed.set(`spans ${key} ${span}`, count)
    for (const [span, count] of slidesOf(times, end)) closed.set(`slides ${key} ${span}`, count)
    for (const [span, count] of sessionsOf(times, end)) closed.set(`sessions ${key} ${span}`, count)
  }
  // Event time behind a groupBy is that of the partition which has come least far.
  if (last.size < PARTITIONS) return closed
  const lowest = Math.min(...last.values())
  for (const group of new Set(whole.map(({ number }) => groupOf(number)))) {
    const times = whole.filter(({ number }) => groupOf(number) === group).map(({ time }) => time)
    for (const [span, count] of spansOf(times, lowest)) closed.set(`groups ${group} ${span}`, count)
  }
  return closed
}

type Spans = ReadonlyMap<string, number>

function spansOf(times: readonly number[], watermark: number): Spans {
  const found = new Map<string, number>()
  for (const start of new Set(times.map((time) => Math.floor(time / SIZE_MS) * SIZE_MS))) {
    const end = start + SIZE_MS
    if (end <= watermark) found.set(`${start}-${end}`, times.filter((time) => time >= start && time < end).length)
  }
  return found
}

/** One that ends with each event, and one that begins right after it; both ends belong to it. */
function slidesOf(times: readonly number[], watermark: number): Spans {
  const found = new Map<string, number>()
  for (const start of times.flatMap((time) => [time - DIFFERENCE_MS, time + 1])) {
    const end = start + DIFFERENCE_MS
    const count = times.filter((time) => time >= start && time <= end).length
    if (count > 0 && end < watermark) found.set(`${start}-${end}`, count)
  }
  return found
}

/** `times` ascend. */
function sessionsOf(times: readonly number[], watermark: number): Spans {
  const found = new Map<string, number>()
  for (let from = 0; from < times.length;) {
    let to = from
    while ((times[to + 1] ?? Infinity) - (times[to] ?? 0) <= GAP_MS) to++
    if ((times[to] ?? 0) + GAP_MS < watermark) found.set(`${times[from]}-${times[to]}`, to - from + 1)
    from = to + 1
  }
  return found
}
