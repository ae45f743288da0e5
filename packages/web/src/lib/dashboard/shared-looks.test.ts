import { manualClock } from '@millrace/core'
import { expect, it } from 'vitest'
import { SharedLooks } from './shared-looks.ts'
import { StateMessages, tellable } from './state-messages.ts'

it('looks once for all who ask while it lasts, and for half a second from its beginning', async () => {
  const clock = manualClock()
  const looks = new SharedLooks<number>(() => clock)
  let count = 0
  const ends: (() => void)[] = []
  const look = async (): Promise<number> => {
    const mine = ++count
    await new Promise<void>((resolve) => void ends.push(resolve))
    return mine
  }
  const first = looks.see('a', look)
  await clock.advance(5_000)
  const second = looks.see('a', look)
  ends.shift()?.()
  expect(await Promise.all([first, second])).toEqual([1, 1])
  // It took long: what it saw is old by now.
  const third = looks.see('a', look)
  ends.shift()?.()
  expect([await third, await looks.see('a', look)]).toEqual([2, 2])
  await clock.advance(499)
  expect(await looks.see('a', look)).toBe(2)
  await clock.advance(1)
  const fourth = looks.see('a', look)
  const other = looks.see('b', look)
  for (const end of ends.splice(0)) end()
  expect(await Promise.all([fourth, other])).toEqual([3, 4])
})

it('keeps no failure for those who ask after it', async () => {
  const looks = new SharedLooks<string>(() => manualClock())
  const failing = [looks.see('a', () => Promise.reject(new Error('no'))), looks.see('a', async () => 'not called')]
  for (const each of failing) await expect(each).rejects.toThrow('no')
  expect(await looks.see('a', async () => 'yes')).toBe('yes')
})

it('makes the message from one state to another once', () => {
  const messages = new StateMessages()
  const [before, now, same] = [tellable({ a: 1, b: null }), tellable({ a: 2 }), tellable({ a: 2 })]
  expect(messages.from(undefined, before)).toBe('event: state\ndata: {"a":1}\n\n')
  expect(messages.from(before, now)).toBe('event: change\ndata: {"a":2}\n\n')
  expect(messages.from(now, same)).toBe('')
  // Changed under its hand, it would say something else if it looked again.
  Object.assign(now.json ?? {}, { a: 3 })
  expect(messages.from(before, now)).toBe('event: change\ndata: {"a":2}\n\n')
})
