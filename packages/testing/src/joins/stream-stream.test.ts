import { createApp } from '@millrace/app'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

interface Sent {
  readonly side: 'order' | 'payment'
  readonly key: string
  readonly at: number
}

interface Spans {
  readonly before: number
  readonly after: number
  readonly grace: number
}

type Kind = 'inner' | 'left' | 'outer'

interface Outcome {
  /** `{order}-{payment}`, by their numbers; one side is empty for an event that has met none. */
  readonly joined: readonly string[]
  readonly late: number
}

/**
 * By brute force, from the order in which the events are handled: each waits until event time is beyond its span and grace.
 * Event time, as an event sees it, is what both sides have come to, its own side with the event itself.
 */
function expected(
  handled: readonly (Sent & { readonly nth: number })[],
  { before, after, grace }: Spans,
  kind: Kind,
): Outcome {
  const deadline = ({ side, at }: Sent): number => at + (side === 'order' ? after : before) + grace
  const joined: string[] = []
  const taken: (Sent & { readonly nth: number; met: boolean })[] = []
  let late = 0
  const highest = { order: -Infinity, payment: -Infinity }
  let reached = -Infinity
  for (const event of handled) {
    const { side, key, at } = event
    highest[side] = Math.max(highest[side], at)
    const time = Math.max(reached, Math.min(highest.order, highest.payment))
    reached = time
    if (time > deadline(event)) {
      late++
      continue
    }
    const own = { ...event, met: false }
    for (const other of taken) {
      if (other.side === side || other.key !== key || time > deadline(other)) continue
      const [order, payment] = side === 'order' ? [own, other] : [other, own]
      const apart = payment.at - order.at
      if (apart < -before || apart > after) continue
      own.met = other.met = true
      joined.push(`${order.nth}-${payment.nth}`)
    }
    taken.push(own)
  }
  for (const each of taken) {
    const { side, nth, met } = each
    if (met || reached <= deadline(each)) continue
    if (side === 'order' && kind !== 'inner') joined.push(`${nth}-`)
    if (side === 'payment' && kind === 'outer') joined.push(`-${nth}`)
  }
  return { joined: joined.toSorted(), late }
}

const sends = fc.array(
  fc.record({
    side: fc.constantFrom('order' as const, 'payment' as const),
    key: fc.constantFrom('a', 'b'),
    at: fc.nat({ max: 60 }),
  }),
  { minLength: 1, maxLength: 30 },
)
const spans = fc.record({ before: fc.nat({ max: 12 }), after: fc.nat({ max: 12 }), grace: fc.nat({ max: 12 }) })
const kinds = fc.constantFrom('inner' as const, 'left' as const, 'outer' as const)

test.each([
  ['at-least-once', 1],
  ['exactly-once', 1],
  ['exactly-once', 4],
] as const)(
  'pairs, events that meet none and late ones are what brute force says: %s, %d instances, handlers that fail, restarts',
  async (processingGuarantee, concurrency) => {
    await fc.assert(
      fc.asyncProperty(sends, spans, kinds, fc.nat({ max: 30 }), async (sent, given, kind, restartAfter) => {
        const app = createApp({ id: 'oracle', processingGuarantee, idleAfter: false, agent: { concurrency } })
        const orders = app.topic('orders', { key: 'string', value: 'number', partitions: 1 })
        const payments = app.topic('payments', { key: 'string', value: 'number', partitions: 1 })
        const joined: string[] = []
        const tried = new Set<string>()
        app.agent(
          'join',
          orders,
          async (stream) => {
            const pairs = stream.join(
              payments,
              { ...given, kind },
              (order, payment) => `${order ?? ''}-${payment ?? ''}`,
            )
            for await (const pair of pairs) {
              const isNew = !tried.has(pair)
              if (isNew && tried.add(pair).size % 3 === 0) throw new Error('Once in a while.')
              joined.push(pair)
            }
          },
          { onError: { retry: 100, backoff: '1ms', maxBackoff: '5ms', then: 'stop' } },
        )
        await using t = await testApp(app)
        // One at a time, so that the order in which they are handled is known.
        let late = 0
        const counted = async (): Promise<number> => {
          const stats = (await (await t.fetch('/stats')).json()) as { agents: { join: { late?: number } } }
          return stats.agents.join.late ?? 0
        }
        for (const [nth, { side, key, at }] of sent.entries()) {
          if (nth === restartAfter) {
            late += await counted()
            // A clean stop, so that at least once, too, everything is there once.
            for (const worker of t.all) await worker.stop()
            await t.worker()
          }
          await t.send(side === 'order' ? orders : payments, { key, value: nth, timestamp: at })
          await t.settle()
          // A retry waits for the clock. Events that come meanwhile would be handled in the order of their times.
          await t.clock.advance('50ms')
        }
        await t.clock.advance('3s')
        const numbered = sent.map((each, nth) => ({ ...each, nth }))
        // An event that fails and gives several pairs is handled again whole.
        const outcome = { joined: [...new Set(joined)].toSorted(), late: late + (await counted()) }
        expect(outcome).toEqual(expected(numbered, given, kind))
      }),
      { numRuns: Number(process.env['JOIN_RUNS'] ?? 8) },
    )
  },
)
