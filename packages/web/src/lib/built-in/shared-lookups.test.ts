import { manualClock } from '@millrace/core'
import { expect, it } from 'vitest'
import { SharedLookups, type LookUp } from './shared-lookups.ts'

const limits = { atATime: 2, limitMs: 20_000 }

it('runs a lookup once for concurrent callers, and shares its result for half a second after the start', async () => {
  const clock = manualClock()
  const lookups = new SharedLookups<number>({ clock, ...limits, freshMs: 500 })
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
  // The lookup took so long that its result is already stale.
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
  const lookups = new SharedLookups<string>({ clock: manualClock(), ...limits })
  const failing = [lookups.get('a', () => Promise.reject(new Error('no'))), lookups.get('a', async () => 'not called')]
  for (const each of failing) await expect(each).rejects.toThrow('no')
  expect(await lookups.get('a', async () => 'yes')).toBe('yes')
})

/** A lookup that ends when it is stopped, and the signals of the lookups started. */
function untilStopped(): { readonly lookUp: LookUp<never>; readonly begun: AbortSignal[] } {
  const begun: AbortSignal[] = []
  const lookUp: LookUp<never> = (signal) => {
    begun.push(signal)
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
  }
  return { lookUp, begun }
}

it('stops a lookup when its last caller has gone, and starts another for the next caller', async () => {
  const lookups = new SharedLookups<string>({ clock: manualClock(), ...limits })
  const { lookUp, begun } = untilStopped()
  const [first, last] = [new AbortController(), new AbortController()]
  const asked = [first, last].map(({ signal }) => lookups.get('a', lookUp, signal))
  first.abort(new Error('first has gone'))
  await expect(asked[0]).rejects.toThrow('first has gone')
  expect(begun.map(({ aborted }) => aborted)).toEqual([false])
  last.abort(new Error('last has gone'))
  await expect(asked[1]).rejects.toThrow('last has gone')
  expect(begun.map(({ aborted }) => aborted)).toEqual([true])
  expect(await lookups.get('a', async () => 'anew')).toBe('anew')
  await expect(lookups.get('a', lookUp, first.signal)).rejects.toThrow('first has gone')
  expect(begun).toHaveLength(1)
})

it('stops a lookup that takes too long: 503, and the next caller tries again', async () => {
  const clock = manualClock()
  const lookups = new SharedLookups<string>({ clock, ...limits })
  const { lookUp, begun } = untilStopped()
  const asked = lookups.get('a', lookUp)
  const refused = expect(asked).rejects.toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
  await clock.advance(limits.limitMs)
  await refused
  expect(begun.map(({ aborted }) => aborted)).toEqual([true])
  expect(await lookups.get('a', async () => 'anew')).toBe('anew')
})

it('limits concurrent lookups, and counts stopped ones until they have ended', async () => {
  const lookups = new SharedLookups<string>({ clock: manualClock(), ...limits })
  const ends: (() => void)[] = []
  const slow: LookUp<string> = () => new Promise((resolve) => void ends.push(() => resolve('done')))
  const caller = new AbortController()
  const gone = lookups.get('a', slow, caller.signal)
  const stays = lookups.get('b', slow)
  caller.abort(new Error('gone'))
  await expect(gone).rejects.toThrow('gone')
  await expect(lookups.get('c', slow)).rejects.toMatchObject({ status: 503 })
  ends.shift()?.()
  await new Promise(setImmediate)
  const next = lookups.get('c', slow)
  for (const end of ends) end()
  expect(await Promise.all([stays, next])).toEqual(['done', 'done'])
})
