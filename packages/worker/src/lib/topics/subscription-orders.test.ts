import { expect, test } from 'vitest'
import { SubscriptionOrders } from './subscription-orders.ts'

function arranged(...pairs: readonly (readonly [string, string])[]): SubscriptionOrders {
  const orders = new SubscriptionOrders()
  for (const [first, then] of pairs) orders.add(first, then)
  orders.arrange()
  return orders
}

test('subscriptions that are connected through others form one group, ranked by the longest path', () => {
  const orders = arranged(['table', 'join'], ['join', 'last'], ['table', 'last'], ['x', 'y'])
  const ranks = ['table', 'join', 'last'].map((id) => orders.placeOf(id)?.rank)
  expect(ranks).toEqual([0, 1, 2])
  expect(new Set(['table', 'join', 'last'].map((id) => orders.placeOf(id)?.group)).size).toBe(1)
  expect(orders.placeOf('x')?.group).not.toBe(orders.placeOf('join')?.group)
  expect(orders.placeOf('other')).toBeUndefined()
})

test('groups that are connected later are merged', () => {
  const orders = arranged(['a', 'b'], ['c', 'd'], ['b', 'c'])
  expect(new Set(['a', 'b', 'c', 'd'].map((id) => orders.placeOf(id)?.group)).size).toBe(1)
})

test('a pair is known once it was declared, of one subscription too', () => {
  const orders = arranged(['a', 'b'], ['c', 'c'])
  expect([orders.has('a', 'b'), orders.has('b', 'a'), orders.has('c', 'c'), orders.has('d', 'd')]).toEqual([
    true,
    false,
    true,
    false,
  ])
})

test('a ring names its subscriptions', () => {
  expect(() => arranged(['a', 'b'], ['b', 'c'], ['c', 'b'])).toThrow(/JOIN_CYCLE.*b, c/)
})
