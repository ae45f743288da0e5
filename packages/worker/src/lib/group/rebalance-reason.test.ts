import { expect, it } from 'vitest'
import { type GroupData, NO_GROUP_DATA } from './group-data.ts'
import { rebalanceReason } from './rebalance-reason.ts'

const group = (members: readonly string[], warmUps: Readonly<Record<string, string>> = {}): GroupData => ({
  ...NO_GROUP_DATA,
  owners: new Map(members.map((member, at) => [`4-${at}`, { member, address: undefined }])),
  members: new Map(members.map((member) => [member, undefined])),
  warmUps: new Map(Object.entries(warmUps)),
})

it('says how many workers joined and left', () => {
  const reason = (before: readonly string[], after: readonly string[], isFirst = false): string =>
    rebalanceReason({ before: group(before), after: group(after), self: 'a', isFirst })
  expect(reason([], ['a'], true)).toBe('this worker joined')
  expect(reason([], ['a', 'b'])).toBe('this worker joined again')
  expect(reason(['a'], ['a', 'b'])).toBe('a worker joined')
  expect(reason(['a', 'b', 'c'], ['a'])).toBe('2 workers left')
  expect(reason(['a', 'b'], ['a', 'c'])).toBe('a worker joined, a worker left')
  expect(reason(['a', 'b'], ['b', 'a'])).toBe('nobody joined or left')
})

it('says that tasks have moved to their copies', () => {
  const reason = (warmUps: Readonly<Record<string, string>>): string =>
    rebalanceReason({
      before: group(['b', 'a', 'c'], warmUps),
      after: group(['a', 'b', 'c']),
      self: 'a',
      isFirst: false,
    })
  expect(reason({ '4-0': 'a' })).toBe('a task moved to its warm copy')
  expect(reason({ '4-0': 'a', '4-2': 'a', '4-1': 'b' })).toBe('2 tasks moved to their warm copies')
  expect(reason({ '4-0': 'b', '4-2': 'c' })).toBe('nobody joined or left')
})

it('counts no task that went with its owner, that stayed, or that nobody has', () => {
  const owned = (owners: Readonly<Record<string, string>>) =>
    new Map(Object.entries(owners).map(([task, member]) => [task, { member, address: undefined }]))
  const before = { ...group(['a', 'b', 'c'], { '4-0': 'a', '4-1': 'a', '4-2': 'c', '4-3': 'a' }) }
  const reason = (members: readonly string[], owners: Readonly<Record<string, string>>): string =>
    rebalanceReason({
      before: { ...before, owners: owned({ '4-0': 'b', '4-1': 'c', '4-2': 'c', '4-3': 'b' }) },
      after: { ...group(members), owners: owned(owners) },
      self: 'a',
      isFirst: false,
    })
  // `b` has gone, and its tasks with it.
  expect(reason(['a', 'c'], { '4-0': 'a', '4-3': 'a' })).toBe('a worker left')
  expect(reason(['a', 'b', 'c'], { '4-0': 'a', '4-1': 'b', '4-2': 'c', '4-3': 'b' })).toBe(
    'a task moved to its warm copy',
  )
  expect(reason(['a', 'b', 'c', 'd', 'e'], { '4-0': 'a', '4-1': 'a' })).toBe(
    '2 workers joined, 2 tasks moved to their warm copies',
  )
})
