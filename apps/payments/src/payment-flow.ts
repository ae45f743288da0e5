import { expect } from 'vitest'
import type { Shop } from './payments.ts'

const MINUTE = 60_000
const START = Date.UTC(2026, 0, 1)
/** Orders of the first minutes, every third of which is paid. */
const COUNT = 24
/** Orders an hour later, all paid at once: some in each partition, so that event time moves on in all of them. */
const LATER = 40

/** What the flow needs of where it runs. */
export interface Stage {
  readonly shop: Shop
  /** Waits until what is given holds. */
  readonly until: (what: string, holds: () => boolean | Promise<boolean>) => Promise<void>
  /** Decoded values of what is in a topic, with their keys. */
  readonly sent: (of: 'settled' | 'reminded') => Promise<readonly (readonly [key: string, value: unknown])[]>
}

interface Placed {
  readonly request: string
  readonly customer: string
  readonly item: string
  readonly amount: number
}

function orderOf(nth: number): Placed {
  return { request: `request-${nth}`, customer: `c${nth % 3}`, item: `item ${nth}`, amount: 100 + nth }
}

function isPaid(nth: number): boolean {
  return nth % 3 === 0 || nth >= COUNT
}

/** Customers, orders, some of them sent twice, and payments: the same on every broker. */
export async function paymentFlow({ shop, until, sent }: Stage): Promise<void> {
  const { requests, payments, people, paid, named } = shop
  const place = async (nth: number, at: number): Promise<void> => {
    const record = { key: `order-${nth}`, value: orderOf(nth), timestamp: START + at }
    await requests.send(record)
    if (nth % 4 === 0) await requests.send(record)
  }
  const pay = (nth: number, at: number): Promise<unknown> =>
    payments.send({ key: `order-${nth}`, value: { amount: 100 + nth }, timestamp: START + at })
  await people.send({ key: 'c0', value: { name: 'Ada' }, timestamp: START })
  await people.send({ key: 'c1', value: { name: 'Bob' }, timestamp: START })
  const first = Array.from({ length: COUNT }, (_, nth) => nth)
  const early = first.filter((nth) => isPaid(nth) && nth % 2 === 1)
  for (const nth of early) await pay(nth, nth * 1000 - 5 * MINUTE)
  await until('payments of orders to come', () => early.every((nth) => paid.has(`order-${nth}`)))
  for (const nth of first) {
    await place(nth, nth * 1000)
    if (isPaid(nth) && !early.includes(nth)) await pay(nth, nth * 1000 + 5 * MINUTE)
  }
  await until('paid orders', async () => (await sent('settled')).length >= COUNT / 3)
  for (let nth = COUNT; nth < COUNT + LATER; nth++) {
    await place(nth, 60 * MINUTE)
    await pay(nth, 60 * MINUTE)
  }
  const all = Array.from({ length: COUNT + LATER }, (_, nth) => nth)

  await until('all orders', async () => (await sent('settled')).length >= all.length)
  const settled = all.map((nth) => [`order-${nth}`, { ...orderOf(nth), paid: isPaid(nth) ? 100 + nth : 0 }] as const)
  expect(new Map(await sent('settled'))).toEqual(new Map(settled))
  expect(await sent('settled')).toHaveLength(all.length)

  // On a busy machine a payment that follows its order may be too late for the reminder.
  const paidAfterwards = new Set(all.filter((nth) => isPaid(nth) && !early.includes(nth)).map((nth) => `order-${nth}`))
  const reminders = async () => (await sent('reminded')).filter(([key]) => !paidAfterwards.has(key))
  const unpaid = first.filter((nth) => !isPaid(nth)).map((nth) => [`order-${nth}`, orderOf(nth)] as const)
  await until('reminders', async () => (await reminders()).length >= unpaid.length)
  expect(new Map(await reminders())).toEqual(new Map(unpaid))
  expect(await reminders()).toHaveLength(unpaid.length)

  const nameOf = (nth: number): string | undefined => named.get(`order-${nth}`)?.name
  await until('names', () => nameOf(0) === 'Ada' && nameOf(1) === 'Bob' && nameOf(2) === 'unknown')
  await people.send({ key: 'c2', value: { name: 'Cyd' }, timestamp: START })
  await people.send({ key: 'c0', value: { name: 'Ada L.' }, timestamp: START + 1 })
  await until('new names', () => nameOf(2) === 'Cyd' && nameOf(3) === 'Ada L.' && nameOf(5) === 'Cyd')
}
