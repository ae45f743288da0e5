import { manualClock, NO_HEADERS, type OutgoingRecord } from '@millrace/core'
import { expect, test } from 'vitest'
import { PassingError } from '../cluster/retrying.ts'
import { BatchSequences, type BatchOwner } from './batch-sequences.ts'
import { IdempotentSends } from './idempotent-sends.ts'

const OWNER: BatchOwner = { id: 7, epoch: 0, transactional: false }

function batch(length: number): readonly OutgoingRecord[] {
  const record = { topic: 't', partition: 0, key: null, value: null, headers: NO_HEADERS, timestamp: 0 }
  return Array.from({ length }, () => ({ ...record }))
}

function counting(): BatchSequences {
  return new BatchSequences(
    () => OWNER,
    ({ epoch, ...owner }) => ({ ...owner, epoch: epoch + 1 }),
  )
}

/** A list of which only the length counts, because no test can hold so many records. */
function endless(length: number): readonly OutgoingRecord[] {
  return new Proxy(batch(1), { get: (target, name) => (name === 'length' ? length : Reflect.get(target, name)) })
}

test('numbers are consecutive in each partition, and wrap around at 2^31', () => {
  const sequences = counting()
  for (const [key, records, first] of [
    ['t/0', batch(3), 0],
    ['t/0', batch(2), 3],
    ['t/1', batch(1), 0],
    ['t/0', endless(2 ** 31 - 6), 5],
    ['t/0', batch(4), 2 ** 31 - 1],
    ['t/0', batch(1), 3],
  ] as const) {
    expect(sequences.numbers(key, records)).toEqual({ ...OWNER, firstSequence: first })
    sequences.stored(key)
  }
})

test('a batch keeps its numbers until its outcome is known, and no other batch gets them', () => {
  const sequences = counting()
  const first = batch(2)
  sequences.numbers('t/0', first)
  expect(sequences.unsettled('t/0')).toBe(first)
  // Equal records are different records: only the same objects may be on the broker already.
  expect(sequences.numbers('t/0', [...first])).toMatchObject({ epoch: 0, firstSequence: 0 })
  expect(sequences.numbers('t/0', batch(2))).toMatchObject({ epoch: 1, firstSequence: 0 })
  sequences.stored('t/0')
  expect(sequences.unsettled('t/0')).toBeUndefined()
  expect(sequences.numbers('t/0', batch(1))).toMatchObject({ epoch: 1, firstSequence: 2 })
})

test('a batch that is refused at its first request frees its numbers; one that was sent before does not', () => {
  const sequences = counting()
  sequences.numbers('t/0', batch(2))
  sequences.refused('t/0')
  const again = batch(2)
  expect(sequences.numbers('t/0', again)).toMatchObject({ epoch: 0, firstSequence: 0 })
  sequences.numbers('t/0', again)
  sequences.refused('t/0')
  expect(sequences.numbers('t/0', batch(2))).toMatchObject({ epoch: 1, firstSequence: 0 })
  // In the new epoch the first answer is certain again.
  sequences.refused('t/0')
  expect(sequences.numbers('t/0', batch(2))).toMatchObject({ epoch: 1, firstSequence: 0 })
})

test('a batch whose predecessors the leader has lost gets new numbers; answers for partitions that never sent change nothing', () => {
  const sequences = counting()
  for (const call of ['stored', 'refused', 'lost'] as const) sequences[call]('t/9')
  const records = batch(2)
  sequences.numbers('t/0', batch(1))
  sequences.stored('t/0')
  sequences.numbers('t/0', records)
  sequences.lost('t/0')
  expect(sequences.numbers('t/0', records)).toMatchObject({ epoch: 1, firstSequence: 0 })
})

test('after the last epoch a partition waits for a new producer id; the others keep theirs', async () => {
  let ids = 40
  const view = {
    ask: async <T>(): Promise<T> => ({ errorCode: 0, producerId: ids++, epoch: 0x7ffe }) as T,
  }
  const sends = new IdempotentSends({ view, clock: manualClock() })
  const { signal } = new AbortController()
  const { sequences } = sends
  expect(() => sequences.numbers('t/0', batch(1))).toThrow(PassingError)
  await sends.prepare([], signal)
  for (const key of ['t/0', 't/1']) sequences.numbers(key, batch(1))
  expect(sequences.numbers('t/0', batch(1))).toMatchObject({ id: 40, epoch: 0x7fff })
  const records = batch(1)
  expect(() => sequences.numbers('t/0', records)).toThrow(PassingError)
  await sends.prepare([], signal)
  expect(sequences.numbers('t/0', records)).toMatchObject({ id: 41, epoch: 0x7ffe, firstSequence: 0 })
  sequences.stored('t/1')
  expect(sequences.numbers('t/1', batch(1))).toMatchObject({ id: 40, firstSequence: 1 })
})

test.each([
  ['more records behind it', 3, (first: readonly OutgoingRecord[]) => [...first, ...batch(1)]],
  ['another record in it', 3, (first: readonly OutgoingRecord[]) => [...first.slice(0, 2), ...batch(1)]],
  ['a record less', 3, (first: readonly OutgoingRecord[]) => first.slice(0, 2)],
] as const)(
  'a batch that may be stored and comes again with %s is another one: the numbers begin anew',
  (_, length, change) => {
    const sequences = counting()
    const first = batch(length)
    sequences.numbers('t/0', first)
    expect(sequences.numbers('t/0', [...first])).toEqual({ ...OWNER, firstSequence: 0 })
    expect(sequences.numbers('t/0', change(first))).toEqual({ ...OWNER, epoch: 1, firstSequence: 0 })
  },
)
