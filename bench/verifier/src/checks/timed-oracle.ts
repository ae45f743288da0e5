import { partitionForKey } from '@millrace/core/driver'
import type { InputRecord } from '../lib/input-records.ts'
import { pairId, setsAlarm, teamOf, type TimedKind, timerDelayOf, windowId } from '../lib/timed-app.ts'
import { timedSpans } from '../lib/timed-spans.ts'
import type { VerifierRun } from '../lib/verifier-run.ts'

/** What must go off in a run: of each kind its ids, each with the numbers of its records. */
export interface ExpectedTimed {
  readonly kinds: Readonly<Record<TimedKind, ReadonlyMap<string, readonly number[]>>>
  /** By the ids of reminders. */
  readonly times: ReadonlyMap<string, number>
  /** The numbers of records that are late for their window. */
  readonly late: readonly number[]
}

type Facts = Pick<VerifierRun, 'seed' | 'records'>
type Numbers = ReadonlyMap<string, readonly number[]>

/** By plain code, from the records alone: no watermark is kept. `partitions`: of the topic of the left side. */
export function expectedTimed(records: readonly InputRecord[], run: Facts, partitions: number): ExpectedTimed {
  const left = records.filter(({ topic }) => topic === 'c')
  const right = records.filter(({ topic }) => topic === 'd')
  const { windowMs, windowGraceMs, teamWindowMs, sessionGapMs, withinMs } = timedSpans(run.records)
  const late = lateFor(left, partitions, { windowMs, windowGraceMs })
  const isLate = new Set(late)
  const times = reminders(run, right)
  return {
    kinds: {
      window: windows(
        left.filter(({ n }) => !isLate.has(n)),
        windowMs,
        ({ key }) => key,
      ),
      team: windows(left, teamWindowMs, ({ key }) => teamOf(key)),
      session: sessions(left, sessionGapMs),
      pair: pairs(left, right, withinMs),
      reminder: new Map([...times.keys()].map((id) => [id, [Number(id)]])),
      alarm: new Map(right.filter(({ n }) => setsAlarm(n)).map(({ n }) => [String(n), [n]])),
    },
    times,
    late,
  }
}

/** Those whose window had closed by a record before them, or by themselves, in their partition. */
function lateFor(
  records: readonly InputRecord[],
  partitions: number,
  { windowMs, windowGraceMs }: { readonly windowMs: number; readonly windowGraceMs: number },
): readonly number[] {
  const highest = new Map<number, number>()
  return records.flatMap(({ n, key, timestamp }) => {
    const partition = partitionForKey(Buffer.from(key), partitions)
    const reached = Math.max(highest.get(partition) ?? 0, timestamp)
    highest.set(partition, reached)
    return startOf(timestamp, windowMs) + windowMs + windowGraceMs <= reached ? [n] : []
  })
}

function windows(records: readonly InputRecord[], sizeMs: number, keyOf: (record: InputRecord) => string): Numbers {
  return gathered(records, (record) => {
    const start = startOf(record.timestamp, sizeMs)
    return windowId(keyOf(record), { start, end: start + sizeMs })
  })
}

function startOf(timestamp: number, sizeMs: number): number {
  return Math.floor(timestamp / sizeMs) * sizeMs
}

/** The union of what is no further apart than the gap. */
function sessions(records: readonly InputRecord[], gapMs: number): Numbers {
  const found = new Map<string, readonly number[]>()
  for (const [key, ofKey] of byKey(records)) {
    const sorted = ofKey.toSorted((one, other) => one.timestamp - other.timestamp)
    let session: InputRecord[] = []
    for (const [nth, record] of sorted.entries()) {
      session.push(record)
      const next = sorted[nth + 1]
      if (next !== undefined && next.timestamp - record.timestamp <= gapMs) continue
      const [first = record] = session
      const window = { start: first.timestamp, end: record.timestamp }
      found.set(
        windowId(key, window),
        session.map(({ n }) => n),
      )
      session = []
    }
  }
  return found
}

/** Each with each of its key that is near enough, and those that have met none. */
function pairs(left: readonly InputRecord[], right: readonly InputRecord[], withinMs: number): Numbers {
  const rights = byKey(right)
  const found = new Map<string, readonly number[]>()
  const met = new Set<number>()
  for (const { n, key, timestamp } of left)
    for (const other of rights.get(key) ?? []) {
      if (Math.abs(other.timestamp - timestamp) > withinMs) continue
      met.add(n).add(other.n)
      found.set(pairId(n, other.n), [n, other.n])
    }
  for (const { n } of left) if (!met.has(n)) found.set(pairId(n, undefined), [n])
  for (const { n } of right) if (!met.has(n)) found.set(pairId(undefined, n), [n])
  return found
}

/** Timers that nothing cancels, with their times: the next record of a key cancels what is still far enough ahead. */
function reminders(run: Facts, records: readonly InputRecord[]): ReadonlyMap<string, number> {
  const { disorderMs } = timedSpans(run.records)
  const found = new Map<string, number>()
  for (const { n, timestamp, before } of records) {
    const pending = before === undefined ? undefined : found.get(String(before))
    if (pending !== undefined && pending > timestamp + disorderMs) found.delete(String(before))
    found.set(String(n), timestamp + timerDelayOf(run, n))
  }
  return found
}

function byKey(records: readonly InputRecord[]): ReadonlyMap<string, readonly InputRecord[]> {
  const found = new Map<string, InputRecord[]>()
  for (const record of records) {
    const ofKey = found.get(record.key)
    if (ofKey === undefined) found.set(record.key, [record])
    else ofKey.push(record)
  }
  return found
}

function gathered(records: readonly InputRecord[], idOf: (record: InputRecord) => string): Numbers {
  const found = new Map<string, number[]>()
  for (const record of records) {
    const id = idOf(record)
    const numbers = found.get(id)
    if (numbers === undefined) found.set(id, [record.n])
    else numbers.push(record.n)
  }
  return found
}
