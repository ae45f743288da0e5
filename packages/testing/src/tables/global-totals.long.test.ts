import { createApp, type App, type Topic } from '@millrace/app'
import { expect, test } from 'vitest'
import { numberedRecords } from '../simulation/input-feed.ts'
import { simulate } from '../simulation/simulate.ts'
import type { SimulatedWorld } from '../simulation/simulation-options.ts'

const RECORDS = 60
/** 16 and 51 went wrong before tasks waited for the copies. */
const SEEDS = 55

interface Totals {
  readonly app: App
  readonly amounts: Topic<string, number>
}

/** Adds up in a global table: what an event reads there must have in it all that went before. */
function totalling(processingGuarantee: 'at-least-once' | 'exactly-once', world?: SimulatedWorld): Totals {
  const app = createApp({ id: 'shop', processingGuarantee, commitInterval: '20ms' })
  const amounts = app.topic('amounts', { key: 'string', value: 'number' })
  const totals = app.globalTable('totals', { key: 'string', value: 'number', default: () => 0 })
  app.agent(
    'add',
    amounts,
    async (stream) => {
      for await (const [key, amount] of stream.items()) {
        await world?.pause()
        totals.update(key, (total) => total + amount)
        if (world?.fails(0.06) === true) throw new Error('a handler that fails now and then')
      }
    },
    { onError: { retry: 1000, backoff: '20ms' } },
  )
  return { app, amounts }
}

test.each(['at-least-once', 'exactly-once'] as const)(
  'a global table that is added to has everything in it, under crashes, freezes and rebalances: %s',
  async (processingGuarantee) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      await simulate((world) => totalling(processingGuarantee, world).app, {
        seed,
        input: numberedRecords(totalling(processingGuarantee).amounts, {
          records: RECORDS,
          keys: 8,
          value: (_key, number) => number,
        }),
        check: ({ input, log, mayDouble }) => {
          // What a copy will have once it has read it all.
          const totals = new Map(
            log.records('shop-totals-global').map(({ key, value }) => [String(key), Number(String(value))]),
          )
          const expected = new Map<string, number>()
          for (const { key, value } of input)
            expected.set(String(key), (expected.get(String(key)) ?? 0) + Number(value))
          for (const [key, sum] of expected) {
            const total = totals.get(key)
            if (mayDouble) expect(total, `total of ${key}`).toBeGreaterThanOrEqual(sum)
            else expect(total, `total of ${key}`).toBe(sum)
          }
        },
      })
    }
  },
)
