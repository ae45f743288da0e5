import type { RawHeaders } from '@millrace/core'
import { chanceOf } from './random.ts'
import type { VerifierRun } from './verifier-run.ts'

/** Value of an input record. */
export interface Input {
  /** Of all records of the run, from 0. */
  readonly n: number
  readonly key: string
  /** Of the records of its key, from 0. */
  readonly seq: number
  readonly group: string
}

export interface InputRecord extends Input {
  readonly topic: 'a' | 'b'
  readonly headers: RawHeaders
  readonly timestamp: number
}

const RECORDS_OF_A_KEY = 20
const KEYS_OF_A_GROUP = 2

/** Every record of a run in the order of its number: each key has its own running numbers, and one topic. */
export function* inputRecords({
  seed,
  records,
  startMs,
}: Pick<VerifierRun, 'seed' | 'records' | 'startMs'>): Generator<InputRecord, void> {
  const keys = Math.max(40, Math.ceil(records / RECORDS_OF_A_KEY))
  const next = new Map<string, number>()
  for (let n = 0; n < records; n++) {
    const index = Math.floor(chanceOf(seed, 'key', n) * keys)
    const key = `k${index}`
    const seq = next.get(key) ?? 0
    next.set(key, seq + 1)
    yield {
      n,
      key,
      seq,
      group: `g${Math.floor(index / KEYS_OF_A_GROUP)}`,
      topic: chanceOf(seed, 'topic', key) < 0.65 ? 'a' : 'b',
      headers: headersOf(n),
      timestamp: startMs + n,
    }
  }
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
export function inputValue({ n, key, seq, group }: Input): Buffer {
  return Buffer.from(JSON.stringify({ n, key, seq, group }))
}
