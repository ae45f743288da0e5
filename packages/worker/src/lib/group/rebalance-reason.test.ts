import { expect, it } from 'vitest'
import type { GroupData } from './group-data.ts'
import { rebalanceReason } from './rebalance-reason.ts'

const group = (...members: readonly string[]): Pick<GroupData, 'owners'> => ({
  owners: new Map(members.map((member, at) => [`4-${at}`, { member, address: undefined }])),
})

it('says who came and who went', () => {
  const reason = (before: readonly string[], after: readonly string[], isFirst = false): string =>
    rebalanceReason({ before: group(...before), after: group(...after), self: 'a', isFirst })
  expect(reason([], ['a'], true)).toBe('this worker joined')
  expect(reason([], ['a', 'b'])).toBe('this worker joined again')
  expect(reason(['a'], ['a', 'b'])).toBe('a worker joined')
  expect(reason(['a', 'b', 'c'], ['a'])).toBe('2 workers left')
  expect(reason(['a', 'b'], ['a', 'c'])).toBe('a worker joined, a worker left')
  expect(reason(['a', 'b'], ['b', 'a'])).toBe('no change of who has tasks')
})
