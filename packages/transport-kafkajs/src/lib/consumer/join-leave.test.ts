import fc from 'fast-check'
import { isMillraceError } from '@millrace/core'
import { expect, test } from 'vitest'
import { encodeAssignment } from '../wire/requests/groups.ts'
import { readAssignment } from './join-leave.ts'

const partitions = [
  { topic: 'words', partition: 0 },
  { topic: 'words', partition: 3 },
]
const ASSIGNMENT = encodeAssignment({ partitions, groupData: Buffer.from('group'), ownData: Buffer.from('own') })

test('an assignment with bytes of another client is either decoded, or an error that names the group', () => {
  expect(readAssignment(ASSIGNMENT, 'shop')).toMatchObject({ partitions })
  const byte = fc.tuple(fc.nat(ASSIGNMENT.length - 1), fc.nat(255))
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 3 }), fc.nat(ASSIGNMENT.length), (changes, end) => {
      const bytes = Buffer.from(ASSIGNMENT)
      for (const [at, value] of changes) bytes[at] = value
      try {
        expect(readAssignment(bytes.subarray(0, end), 'shop').partitions.length).toBeLessThan(ASSIGNMENT.length)
      } catch (error) {
        expect(isMillraceError(error, 'GROUP_INCONSISTENT'), String(error)).toBe(true)
        expect(String(error)).toContain('"shop"')
      }
    }),
    { numRuns: 2_000 },
  )
})
