import { manualClock, type TopicPartition } from '@millrace/core'
import { expect, test } from 'vitest'
import { silentLog, testSettings } from '../fixtures/test-worker.fixture.ts'
import { MOST_BLOCKING_EVENTS, BlockingEvents, type BlockingEvent } from './blocking-events.ts'

function blockingEvents() {
  const clock = manualClock()
  const environment = { clock, log: silentLog, settings: { ...testSettings, sessionTimeoutMs: 10_000 } }
  const known = new BlockingEvents(environment, { valid: false }, [])
  return { clock, known }
}

const one: BlockingEvent = {
  subscription: 'a',
  topic: 't',
  partition: 0,
  offset: 7,
  rounds: 1,
  isSure: false,
  blockedMs: 12_000,
}
const nothing = (): undefined => undefined

test('beyond the limit the oldest are dropped', () => {
  const { known } = blockingEvents()
  known.learn(Array.from({ length: MOST_BLOCKING_EVENTS + 10 }, (_, offset) => ({ ...one, offset })))
  const told = known.report(nothing)
  expect(told.length).toBe(MOST_BLOCKING_EVENTS)
  expect(told.map(({ offset }) => offset)).not.toContain(9)
})

test('they are forgotten once they are committed, and after a while', async () => {
  const { clock, known } = blockingEvents()
  known.learn([one, { ...one, partition: 1 }])
  const committed = ({ partition }: TopicPartition): number | undefined => (partition === 0 ? 8 : 7)
  expect(known.report(committed)).toEqual([{ ...one, partition: 1 }])
  await clock.advance('11m')
  expect(known.report(nothing)).toEqual([])
})

test('of two reports of one event the worse counts, and a milder report changes nothing', () => {
  const { known } = blockingEvents()
  known.learn([{ ...one, rounds: 2 }, one])
  expect(known.report(nothing)).toEqual([{ ...one, rounds: 2 }])
  known.learn([{ ...one, isSure: true, rounds: 2 }])
  expect(known.from('a', one, 0)?.get(7)).toMatchObject({ attempts: 2, error: { code: 'EVENT_BLOCKED' } })
  expect(known.isUnclear([one])).toBe(false)
})

test('they apply to their own partition only, and not before the committed position', () => {
  const { known } = blockingEvents()
  known.learn([one])
  expect(known.from('a', one, 8)).toBeUndefined()
  expect(known.from('b', one, 0)).toBeUndefined()
  expect(known.from('a', { topic: 't', partition: 1 }, 0)).toBeUndefined()
  expect(known.from('a', one, 7)?.get(7)).toEqual({ attempts: 1, error: undefined, mayBlock: true })
  expect([known.isUnclear([one]), known.isUnclear([{ topic: 't', partition: 1 }])]).toEqual([true, false])
})
