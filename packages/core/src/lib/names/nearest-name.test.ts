import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nearestName } from './check-options.ts'

const names = ['commitInterval', 'connectTimeout', 'store', 'id', 'broker']

test.each([
  ['comitInterval', 'commitInterval'],
  ['commitinterval', 'commitInterval'],
  ['brokre', 'broker'],
  ['sotre', 'store'],
  ['di', 'id'],
  ['conectTimeouts', 'connectTimeout'],
])('%s means %s', (word, name) => {
  expect(nearestName(word, names)).toBe(name)
})

test.each(['', 'partitions', 'kafka', 'xyz'])('no name is suggested for %j', (word) => {
  expect(nearestName(word, names)).toBeUndefined()
})

test('an ambiguous short form suggests no name', () => {
  expect(nearestName('tz', ['timezone', 'tweezers'].values())).toBeUndefined()
  expect(nearestName('tz', ['timezone', 'timeout'].values())).toBe('timezone')
})

test('the nearest name to a name is the name itself', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 8 }),
      fc.nat(),
      (candidates, index) => {
        const name = candidates[index % candidates.length]
        expect(name === undefined ? undefined : nearestName(name, candidates)).toBe(name)
      },
    ),
  )
})
