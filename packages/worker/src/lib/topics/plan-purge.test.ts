import { partitionKey } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planPurge, type PurgeSource } from './plan-purge.ts'

test('uncommitted records are not deleted', () => {
  expect(planPurge([{ topic: 't', partition: 0, committed: undefined }], new Map())).toEqual([])
})

test('records are deleted up to the committed offset, and only once', () => {
  const sources = [
    { topic: 't', partition: 0, committed: 5 },
    { topic: 't', partition: 1, committed: 5 },
    { topic: 'u', partition: 0, committed: 5 },
  ]
  const purged = new Map([
    ['t/0', 5],
    ['t/1', 4],
  ])
  expect(planPurge(sources, purged)).toEqual([
    { topic: 't', partition: 1, offset: 5 },
    { topic: 'u', partition: 0, offset: 5 },
  ])
})

type Step =
  | { readonly type: 'commit'; readonly partition: number; readonly records: number }
  | { readonly type: 'purge'; readonly outcome: 'done' | 'refused' | 'done, but the answer is lost' }
  | { readonly type: 'new owner' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('commit'),
      partition: fc.nat({ max: 2 }),
      records: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('purge'),
      outcome: fc.constantFrom('done', 'refused', 'done, but the answer is lost'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('new owner') }) },
)

test('a partition never begins beyond its committed offset, and finally begins at it, whatever fails and whoever owns it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const committed: (number | undefined)[] = [undefined, undefined, undefined]
      const beginning = [0, 0, 0]
      let purged = new Map<string, number>()
      const sources = (): PurgeSource[] =>
        committed.map((offset, partition) => ({ topic: 't', partition, committed: offset }))
      const purge = (outcome: 'done' | 'refused' | 'done, but the answer is lost'): void => {
        for (const position of planPurge(sources(), purged)) {
          if (outcome === 'refused') continue
          beginning[position.partition] = position.offset
          if (outcome === 'done') purged.set(partitionKey(position), position.offset)
        }
      }
      for (const each of steps) {
        if (each.type === 'commit') committed[each.partition] = (committed[each.partition] ?? 0) + each.records
        else if (each.type === 'purge') purge(each.outcome)
        else purged = new Map()
        for (const [partition, offset] of committed.entries())
          expect(beginning[partition]).toBeLessThanOrEqual(offset ?? 0)
      }
      purge('done')
      expect(beginning).toEqual(committed.map((offset) => offset ?? 0))
      expect(planPurge(sources(), purged)).toEqual([])
    }),
  )
})
