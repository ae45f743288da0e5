import { manualClock } from '@millrace/core'
import { expect, it } from 'vitest'
import { sharedState, StateMessages } from './event-stream.ts'
import { SharedLookups } from './shared-lookups.ts'

it('runs a lookup once for concurrent callers, and shares its result until half a second after it began', async () => {
  const clock = manualClock()
  const lookups = new SharedLookups<number>({ clock })
  let count = 0
  const ends: (() => void)[] = []
  const lookUp = async (): Promise<number> => {
    const mine = ++count
    await new Promise<void>((resolve) => void ends.push(resolve))
    return mine
  }
  const first = lookups.get('a', lookUp)
  await clock.advance(5_000)
  const second = lookups.get('a', lookUp)
  ends.shift()?.()
  expect(await Promise.all([first, second])).toEqual([1, 1])
  // It took long: its result is old by now.
  const third = lookups.get('a', lookUp)
  ends.shift()?.()
  expect([await third, await lookups.get('a', lookUp)]).toEqual([2, 2])
  await clock.advance(499)
  expect(await lookups.get('a', lookUp)).toBe(2)
  await clock.advance(1)
  const fourth = lookups.get('a', lookUp)
  const other = lookups.get('b', lookUp)
  for (const end of ends.splice(0)) end()
  expect(await Promise.all([fourth, other])).toEqual([3, 4])
})

it('does not share a failure with later callers', async () => {
  const lookups = new SharedLookups<string>({ clock: manualClock() })
  const failing = [lookups.get('a', () => Promise.reject(new Error('no'))), lookups.get('a', async () => 'not called')]
  for (const each of failing) await expect(each).rejects.toThrow('no')
  expect(await lookups.get('a', async () => 'yes')).toBe('yes')
})

it('makes the message from one state to another once', () => {
  const messages = new StateMessages()
  const [before, now, same] = [sharedState({ a: 1, b: null }), sharedState({ a: 2 }), sharedState({ a: 2 })]
  expect(messages.from(undefined, before)).toBe('event: state\ndata: {"a":1}\n\n')
  expect(messages.from(before, now)).toBe('event: change\ndata: {"a":2}\n\n')
  expect(messages.from(now, same)).toBe('')
  // A message made a second time would have the change in it.
  Object.assign(now.json ?? {}, { a: 3 })
  expect(messages.from(before, now)).toBe('event: change\ndata: {"a":2}\n\n')
})
