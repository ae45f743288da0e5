import { expect, it } from 'vitest'
import { History } from './history.ts'

it('keeps five minutes, oldest first', () => {
  const history = new History()
  expect([history.last, history.before(30_000)]).toEqual([undefined, undefined])
  for (let at = 0; at <= 400; at++)
    history.add({ at: at * 1_000, events: at, sent: 0, lag: at, commitAgeMs: null, errors: 0 })
  expect(history.points).toHaveLength(300)
  expect(history.points[0]?.at).toBe(101_000)
  expect(history.last?.at).toBe(400_000)
  expect(history.before(30_000)?.lag).toBe(370)
  expect(history.before(900_000)?.lag).toBe(101)
})
