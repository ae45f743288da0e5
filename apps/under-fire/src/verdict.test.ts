import { NO_HEADERS } from '@millrace/core'
import { expect, test } from 'vitest'
import type { LoggedRecord } from '@millrace/verifier'
import { verdictOf } from './verdict.ts'

function log(...rows: readonly (readonly [key: string, value: string])[]): readonly LoggedRecord[] {
  return rows.map(([key, value], offset) => ({
    topic: 't',
    partition: 0,
    offset,
    timestamp: 0,
    key: Buffer.from(key),
    value: Buffer.from(value),
    headers: NO_HEADERS,
  }))
}

const numbers = log(['a', '0'], ['b', '1'], ['a', '2'])

test('a run without a fault has none', () => {
  const copies = log(['a', '0 w1 1000'], ['b', '1 w1 1010'], ['a', '2 w2 1500'])
  expect(verdictOf({ numbers, copies, changelog: log(['a', '1'], ['b', '1'], ['a', '2']) })).toEqual({
    sent: 3,
    lost: [],
    doubles: 0,
    short: [],
    overcounted: 0,
    backward: [],
    longestGapMs: 490,
    byWorker: { w1: 2, w2: 1 },
  })
})

test('what is missing, doubled or overwritten is found', () => {
  const copies = log(['a', '0 w1 1'], ['a', '0 w1 2'], ['a', '2 w1 3'])
  const verdict = verdictOf({ numbers, copies, changelog: log(['a', '3'], ['a', '2'], ['b', '2']) })
  expect(verdict).toMatchObject({
    lost: ['1'],
    doubles: 1,
    short: [],
    overcounted: 1,
    backward: ['a: 3, then 2 at 0@1'],
  })
  expect(verdictOf({ numbers, copies, changelog: log(['a', '1']) }).short).toEqual(['a', 'b'])
})

test('a record that the source has twice is expected twice', () => {
  const twice = log(['a', '0'], ['a', '0'])
  expect(verdictOf({ numbers: twice, copies: log(['a', '0 w 1']), changelog: [] }).lost).toEqual(['0'])
  expect(verdictOf({ numbers: twice, copies: log(['a', '0 w 1'], ['a', '0 w 1']), changelog: [] }).doubles).toBe(0)
})
