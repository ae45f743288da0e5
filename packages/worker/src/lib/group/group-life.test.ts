import { expect, test } from 'vitest'
import { groupLife, groupSecret, newSecret } from './group-life.ts'

const member = (id: string, generation: number, life?: string, secret?: string) => ({
  id,
  data: { generation, life, secret },
})

test('newcomers begin a life, which every later member takes over', () => {
  const first = groupLife([member('b', 0), member('a', 0)])
  expect(first).toBe('a')
  expect(groupLife([member('b', 1, first), member('0', 0)])).toBe('a')
  // The member after whom it was named is gone.
  expect(groupLife([member('0', 2, first), member('1', 0)])).toBe('a')
  expect(groupLife([member('2', 0)])).toBe('2')
})

test('a member that returns with another life takes over that of the later generation', () => {
  expect(groupLife([member('sleeper', 3, 'old'), member('other', 7, 'new')])).toBe('new')
})

test('a group keeps the secret of its first newcomer until no member has it any more', () => {
  const first = [member('b', 0, undefined, 'of b'), member('a', 0, undefined, 'of a')]
  expect(groupSecret(first)).toBe('of a')
  // A newcomer brings its own secret, and may lead at once.
  expect(groupSecret([member('0', 0, undefined, 'of 0'), member('b', 1, 'a', 'of a')])).toBe('of a')
  expect(groupSecret([member('sleeper', 3, 'old', 'of old'), member('b', 7, 'a', 'of a')])).toBe('of a')
  expect(groupSecret([member('0', 0, undefined, 'of 0')])).toBe('of 0')
  // An earlier version knows no secrets, and may still be the eldest.
  expect(groupSecret([member('eldest', 9, 'a'), member('0', 0, undefined, 'of 0')])).toBe('of 0')
  expect(groupSecret([member('eldest', 9, 'a')])).toBeUndefined()
})

test('the order of the members does not matter', () => {
  const members = [
    member('new', 9, undefined, 'of new'),
    member('a', 3, 'older', 'of older'),
    member('c', 7, 'of c', 'c'),
    member('b', 7, 'of b', 'b'),
  ]
  for (let turn = 0; turn < members.length; turn++) {
    members.push(...members.splice(0, 1))
    for (const list of [members, members.toReversed()])
      expect([groupLife(list), groupSecret(list)]).toEqual(['of b', 'b'])
  }
  expect(groupLife([])).toBe('')
})

test('a secret is 22 letters that nobody can guess', () => {
  expect([newSecret(), newSecret()]).toEqual([
    expect.stringMatching(/^[\w-]{22}$/),
    expect.stringMatching(/^[\w-]{22}$/),
  ])
  expect(newSecret()).not.toBe(newSecret())
})
