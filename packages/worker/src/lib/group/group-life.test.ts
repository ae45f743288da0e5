import { expect, test } from 'vitest'
import { groupLife } from './group-life.ts'

const member = (id: string, generation: number, life?: string) => ({ id, data: { generation, life } })

test('newcomers begin a life, which every later member takes over', () => {
  const first = groupLife([member('b', 0), member('a', 0)])
  expect(first).toBe('a')
  expect(groupLife([member('b', 1, first), member('0', 0)])).toBe('a')
  // The one after whom it was named is gone.
  expect(groupLife([member('0', 2, first), member('1', 0)])).toBe('a')
  expect(groupLife([member('2', 0)])).toBe('2')
})

test('one that comes back with another life takes over that of the later generation', () => {
  expect(groupLife([member('sleeper', 3, 'old'), member('other', 7, 'new')])).toBe('new')
})
