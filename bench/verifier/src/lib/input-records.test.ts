import { expect, test } from 'vitest'
import { inputRecords } from './input-records.ts'
import { troubleOf } from './trouble.ts'

test('each key counts its own records, in one topic and one group', () => {
  const records = [...inputRecords({ seed: 5, records: 5000, startMs: 1_000 })]
  expect(records.map(({ n }) => n)).toEqual(records.map((_, i) => i))
  const keys = new Map<string, typeof records>()
  for (const record of records) keys.set(record.key, [...(keys.get(record.key) ?? []), record])
  expect(keys.size).toBeGreaterThan(200)
  for (const ofKey of keys.values()) {
    expect(ofKey.map(({ seq }) => seq)).toEqual(ofKey.map((_, i) => i))
    const topics = [...new Set(ofKey.map(({ topic }) => topic))].toSorted().join('')
    expect(['a', 'b', 'c', 'd', 'cd']).toContain(topics)
    expect(new Set(ofKey.map(({ group }) => group)).size).toBe(1)
  }
  expect([...inputRecords({ seed: 5, records: 5000, startMs: 1_000 })]).toEqual(records)
})

test('one event in a hundred fails, and passes in the end', () => {
  const failing = Array.from({ length: 20_000 }, (_, n) => n).filter((n) => troubleOf(1, 'count', n, 0).fails)
  expect(failing.length).toBeGreaterThan(150)
  expect(failing.length).toBeLessThan(250)
  expect(failing.filter((n) => troubleOf(1, 'count', n, 1).fails).length).toBeGreaterThan(10)
  expect(failing.some((n) => troubleOf(1, 'count', n, 2).fails)).toBe(false)
})
