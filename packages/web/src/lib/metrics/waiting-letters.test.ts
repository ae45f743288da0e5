import { manualClock } from '@millrace/core'
import type { AgentDeadLetters, DeadLetterListing } from '@millrace/core/operations'
import { expect, test } from 'vitest'
import { WaitingLetters, type WaitingLettersDeps } from './waiting-letters.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const lettersOf = (waiting: number): readonly AgentDeadLetters[] => [
  { agent: 'charge', topic: 'shop-charge-dlq', letters: 9, waiting, complete: false, newest: [] },
]

test('counts letters only on demand, every five minutes and a few at a time; a failed count gives no number', async () => {
  const clock = manualClock()
  const ending = new AbortController()
  const asked: DeadLetterListing[] = []
  let answer: () => Promise<readonly AgentDeadLetters[]> = async () => lettersOf(4)
  const list = (options: DeadLetterListing = {}): Promise<readonly AgentDeadLetters[]> => {
    asked.push(options)
    return answer()
  }
  const deps: WaitingLettersDeps = { letters: () => ({ list }), clock, log: quiet, signal: ending.signal }
  const letters = new WaitingLetters()
  expect(letters.current(deps)).toEqual({})
  await expect.poll(() => letters.current(deps)).toEqual({ charge: 4 })
  expect(asked).toEqual([{ newest: 0, most: 200, signal: ending.signal }])

  answer = async () => lettersOf(1)
  await clock.advance('4m')
  expect([letters.current(deps), asked.length]).toEqual([{ charge: 4 }, 1])
  await clock.advance('1m')
  letters.current(deps)
  await expect.poll(() => letters.current(deps)).toEqual({ charge: 1 })

  answer = () => Promise.reject(new Error('The broker refuses.'))
  await clock.advance('5m')
  letters.current(deps)
  await expect.poll(() => letters.current(deps)).toEqual({})
  ending.abort()
  await clock.advance('5m')
  letters.current(deps)
  expect(asked.length).toBe(3)
})
