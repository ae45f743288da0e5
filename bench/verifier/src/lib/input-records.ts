import type { RawHeaders } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import { chanceOf } from './random.ts'
import { timedSpans } from './timed-spans.ts'
import type { VerifierRun } from './verifier-run.ts'

/** Value of an input record. */
export interface Input {
  /** Of all records of the run, from 0. */
  readonly n: number
  readonly key: string
  /** Of the records of its key, from 0. */
  readonly seq: number
  readonly group: string
  /** For a record of topic `d`: the previous record with the same key. */
  readonly before?: number
}

/** `c` and `d` share their keys; all others have keys of their own. */
export type InputTopic = 'a' | 'b' | 'c' | 'd'

export interface InputRecord extends Input {
  readonly topic: InputTopic
  readonly headers: RawHeaders
  readonly timestamp: number
}

const RECORDS_OF_A_KEY = 20
const KEYS_OF_A_GROUP = 2

/** Every record of a run in the order of its number: each key has its own running numbers, and one topic, or `c` and `d`. */
export function* inputRecords({
  seed,
  records,
  startMs,
}: Pick<VerifierRun, 'seed' | 'records' | 'startMs'>): Generator<InputRecord, void> {
  const keys = Math.max(40, Math.ceil(records / RECORDS_OF_A_KEY))
  const next = new Map<string, number>()
  const last = new Map<string, number>()
  const { disorderMs } = timedSpans(records)
  for (let n = 0; n < records; n++) {
    const index = Math.floor(chanceOf(seed, 'key', n) * keys)
    const key = `k${index}`
    const seq = next.get(key) ?? 0
    next.set(key, seq + 1)
    const topic = topicOf(seed, key, n)
    const isTimed = topic === 'c' || topic === 'd'
    const before = topic === 'd' ? last.get(key) : undefined
    if (topic === 'd') last.set(key, n)
    const behindMs = isTimed && chanceOf(seed, 'late', n) < 0.3 ? chanceOf(seed, 'behind', n) * disorderMs : 0
    yield {
      n,
      key,
      seq,
      group: `g${Math.floor(index / KEYS_OF_A_GROUP)}`,
      topic,
      ...(before === undefined ? {} : { before }),
      headers: headersOf(n),
      timestamp: startMs + n - Math.floor(behindMs),
    }
  }
}

function topicOf(seed: number, key: string, n: number): InputTopic {
  const chance = chanceOf(seed, 'topic', key)
  if (chance < 0.75) return chance < 0.5 ? 'a' : 'b'
  return chanceOf(seed, 'side', n) < 0.6 ? 'c' : 'd'
}

/** Behind all records of a run, one for each partition of a topic: with it, all windows close and all timers go off. */
export function endRecords(
  { records, startMs }: Pick<VerifierRun, 'records' | 'startMs'>,
  partitions: number,
): readonly (Input & { readonly partition: number; readonly timestamp: number })[] {
  const timestamp = startMs + timedSpans(records).endMs
  return Array.from({ length: partitions }, (_, partition) => {
    let nth = 0
    while (partitionForKey(Buffer.from(`end ${nth}`), partitions) !== partition) nth++
    return { n: -1 - partition, key: `end ${nth}`, seq: 0, group: 'end', partition, timestamp }
  })
}

/** A name twice and a header without a value: what only survives when headers are kept as they are. */
export function headersOf(n: number): RawHeaders {
  return [
    ['n', Buffer.from(String(n))],
    ['tag', Buffer.from(`first ${n % 7}`)],
    ['tag', Buffer.from(`second ${n % 11}`)],
    ['none', null],
  ]
}

/** Value of an input record as it is sent. */
export function inputValue({ n, key, seq, group, before }: Input): Buffer {
  return Buffer.from(JSON.stringify({ n, key, seq, group, before }))
}
