import { describe, expect, test } from 'vitest'
import { Deliveries } from './deliveries.ts'
import { KeyOrder } from './key-order.ts'
import { Problems } from './problems.ts'
import { sameHeaders } from './same-headers.ts'

describe('deliveries', () => {
  const seen = (numbers: readonly number[], exact: boolean): readonly unknown[] => {
    const problems = new Problems()
    const deliveries = new Deliveries<number>('out')
    for (const n of numbers) deliveries.add(n, 'somewhere')
    const expected = [0, 1, 2, 3].map((n) => [n, n === 3 ? 0 : 1] as const)
    const { lost, doubled } = deliveries.check(expected, { exact, problems })
    return [lost, doubled, problems.all.map(({ check }) => check)]
  }
  test('all of them', () => expect(seen([0, 1, 2], true)).toEqual([0, 0, []]))
  test('lost', () => expect(seen([0, 2], false)).toEqual([1, 0, ['lost in out']]))
  test('doubled, exactly once', () => expect(seen([0, 1, 1, 2], true)).toEqual([0, 1, ['doubled in out']]))
  test('doubled, at least once', () => expect(seen([0, 1, 1, 2], false)).toEqual([0, 1, []]))
  test('what must not be there at all', () => expect(seen([0, 1, 2, 3], false)).toEqual([0, 1, ['doubled in out']]))
  test('numbers of no record', () => expect(seen([0, 1, 2, 9], false)).toEqual([0, 0, ['strangers in out']]))
  test('one lost and one doubled do not cancel out', () =>
    expect(seen([0, 0, 2], true)).toEqual([1, 1, ['lost in out', 'doubled in out']]))
})

describe('order per key', () => {
  const found = (seqs: readonly number[], exact: boolean): number => {
    const problems = new Problems()
    const order = new KeyOrder('out', exact, problems)
    for (const seq of seqs) order.add('k', seq, 'somewhere')
    return problems.all.length
  }
  test('as it must be', () => expect(found([0, 1, 2, 3], true)).toBe(0))
  test('a replay, at least once', () => expect(found([0, 1, 2, 1, 2, 3], false)).toBe(0))
  test('a replay, exactly once', () => expect(found([0, 1, 2, 1, 2, 3], true)).toBe(1))
  test('something that comes too early', () => expect(found([0, 2, 1, 3], false)).toBe(1))
})

test('headers', () => {
  const headers = [['a', Buffer.from('1')] as const, ['b', null] as const]
  expect(
    sameHeaders(headers, [
      ['a', Buffer.from('1')],
      ['b', null],
    ]),
  ).toBe(true)
  expect(
    sameHeaders(headers, [
      ['b', null],
      ['a', Buffer.from('1')],
    ]),
  ).toBe(false)
  expect(
    sameHeaders(headers, [
      ['a', Buffer.from('2')],
      ['b', null],
    ]),
  ).toBe(false)
  expect(
    sameHeaders(headers, [
      ['a', Buffer.from('1')],
      ['b', Buffer.from('')],
    ]),
  ).toBe(false)
  expect(sameHeaders(headers, headers.slice(1))).toBe(false)
})
