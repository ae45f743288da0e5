import fc from 'fast-check'
import { expect, test } from 'vitest'
import { prefixEnd } from './key-shape.ts'

test('the end of a prefix is the first key after all that start with it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(0, 1, 254, 255), { maxLength: 4 }),
      fc.array(fc.constantFrom(0, 1, 254, 255), { maxLength: 4 }),
      (one, two) => {
        const [prefix, key] = [Buffer.from(one), Buffer.from(two)]
        const end = prefixEnd(prefix)
        const inside = key.compare(prefix) >= 0 && (end === undefined || key.compare(end) < 0)
        expect(inside).toBe(key.subarray(0, prefix.length).equals(prefix))
      },
    ),
  )
})
