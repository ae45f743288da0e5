import { expect } from 'vitest'
import type { Shop } from './payments.ts'

const MINUTE = 60_000

/** What the flow needs of where it runs. */
export interface Stage {
  readonly shop: Shop
  /** Waits until what is given holds. */
  readonly until: (what: string, holds: () => boolean | Promise<boolean>) => Promise<void>
  /** Decoded values of what is in the topic of settled orders, with their keys. */
  readonly settled: () => Promise<readonly (readonly [key: string, value: unknown])[]>
}

/** Customers, orders and payments: the same on every broker. */
export async function paymentFlow({ shop, until, settled }: Stage): Promise<void> {
  const { orders, payments, people, named } = shop
  const start = Date.UTC(2026, 0, 1)
  const send = async (nth: number, at: number): Promise<void> => {
    const value = { customer: `c${nth % 3}`, item: `item ${nth}`, amount: 100 + nth }
    await orders.send({ key: `order-${nth}`, value, timestamp: start + at })
  }
  await people.send({ key: 'c0', value: { name: 'Ada' }, timestamp: start })
  await people.send({ key: 'c1', value: { name: 'Bob' }, timestamp: start })
  const count = 24
  for (let nth = 0; nth < count; nth++) {
    await send(nth, nth * 1000)
    // Every third order is paid, some a while before it was placed.
    if (nth % 3 === 0)
      await payments.send({
        key: `order-${nth}`,
        value: { amount: 100 + nth },
        timestamp: start + nth * 1000 + (nth % 2 === 0 ? 5 : -5) * MINUTE,
      })
  }
  await until('paid orders', async () => (await settled()).length >= count / 3)
  // An hour later in every partition: what has not been paid by now is given out.
  for (let nth = count; nth < count + 40; nth++) {
    await send(nth, 60 * MINUTE)
    await payments.send({ key: `order-${nth}`, value: { amount: 100 + nth }, timestamp: start + 60 * MINUTE })
  }
  await until('all orders', async () => (await settled()).length >= count + 40)
  const found = new Map(await settled())
  for (let nth = 0; nth < count + 40; nth++) {
    const paid = nth >= count || nth % 3 === 0 ? 100 + nth : 0
    expect(found.get(`order-${nth}`)).toEqual({ customer: `c${nth % 3}`, item: `item ${nth}`, amount: 100 + nth, paid })
  }
  expect(await settled()).toHaveLength(count + 40)
  const nameOf = (nth: number): string | undefined => named.get(`order-${nth}`)?.name
  await until('names', () => nameOf(0) === 'Ada' && nameOf(1) === 'Bob' && nameOf(2) === 'unknown')
  await people.send({ key: 'c2', value: { name: 'Cyd' }, timestamp: start })
  await people.send({ key: 'c0', value: { name: 'Ada L.' }, timestamp: start + 1 })
  await until('new names', () => nameOf(2) === 'Cyd' && nameOf(3) === 'Ada L.' && nameOf(5) === 'Cyd')
}
