import { createApp } from '@millrace/app'
import { testApp } from '@millrace/testing'
import { expect, test } from 'vitest'
import { avro } from './avro.ts'

interface Total {
  readonly count: number
}

const field = (name: string, rest: object = {}): object => ({ name, type: 'int', ...rest })
const TOTAL = { type: 'record', name: 'Total', fields: [field('count')] }

interface Place {
  readonly shop: string
  readonly shelf: number
}

const place = avro<Place>({
  subject: 'place',
  schema: {
    ...{ type: 'record', name: 'Place' },
    fields: [
      { name: 'shop', type: 'string' },
      { name: 'shelf', type: 'int' },
    ],
  },
})

test('topics, keys and tables have codecs of the registry, which the test kit keeps in memory', async () => {
  const app = createApp({ id: 'shop', broker: 'memory:' })
  const sales = app.topic('sales', { key: place, value: avro<Total>({ schema: TOTAL }) })
  const totals = app.table('totals', {
    key: place,
    value: avro<Total>({ schema: TOTAL }),
    default: () => ({ count: 0 }),
  })
  app.agent('sum', sales, async (stream) => {
    for await (const [key, { count }] of stream.items()) totals.update(key, (total) => ({ count: total.count + count }))
  })
  await using t = await testApp(app)
  for (let n = 1; n <= 3; n++) await t.send(sales, { key: { shop: 'a', shelf: 1 }, value: { count: n } })
  // Equal keys are equal bytes, whatever the order of their fields.
  await t.send(sales, { key: { shelf: 1, shop: 'a' }, value: { count: 10 } })
  await t.settle()
  expect(totals.get({ shop: 'a', shelf: 1 })).toEqual({ count: 16 })
  expect(t.sent(sales).map(({ value }) => value?.count)).toEqual([1, 2, 3, 10])
})
