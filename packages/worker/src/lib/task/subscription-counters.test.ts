import { expect, test } from 'vitest'
import { SubscriptionCounters } from './subscription-counters.ts'

test('records are counted by topic, in any order of topics', () => {
  const counters = new SubscriptionCounters()
  for (const topic of ['b', 'b', 'a', 'b', 'c', 'a', 'a']) counters.sent(topic)
  expect(counters.sentTo).toEqual([
    { topic: 'b', records: 3 },
    { topic: 'a', records: 3 },
    { topic: 'c', records: 1 },
  ])
})
