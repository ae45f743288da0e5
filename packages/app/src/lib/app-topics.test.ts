import { expect, test } from 'vitest'
import { App } from './app.ts'
import { partsOfTopics } from './app-topics.ts'
import { createApp } from './create-app.ts'

test('topics are told apart by what they are to the app; those of others are left out', () => {
  const app = createApp({ id: 'shop', broker: 'memory:' })
  app.table('sums', { key: 'string', value: 'number' })
  app.table('named', { key: 'string', value: 'number' })
  app.globalTable('rates', { key: 'string', value: 'number' })
  // The app file has named them: they are its own, whatever they look like.
  app.topic('shop-named-changelog', { value: 'string' })
  const orders = app.topic('orders', { value: 'number' })
  const large = app.topic('large', { value: 'number' })
  app.agent('own', { value: 'number' }, async (stream) => {
    for await (const _ of stream);
  })
  app.agent(
    'sort',
    orders,
    async function* sort(stream) {
      yield* stream
    },
    { sinks: [large] },
  )
  app.agent('look', large, async (stream) => {
    for await (const _ of stream);
  })
  const parts = partsOfTopics('shop', App.partsOf(app).definitions, [
    'large',
    'orders',
    'shop-__assignor-__leader',
    'shop-__replays',
    'shop-__scheduler',
    'shop-eu-own-a-repartition',
    'shop-eu-sums-changelog',
    'shop-named-changelog',
    'shop-own',
    'shop-own-a-repartition',
    'shop-own-dlq',
    'shop-rates-global',
    'shop-replies',
    'shop-sums-changelog',
    'somebody-elses',
  ])
  expect(Object.fromEntries([...parts].map(([name, { role, owner }]) => [name, [role, owner]]))).toEqual({
    large: ['between', undefined],
    orders: ['source', undefined],
    'shop-__assignor-__leader': ['leader', undefined],
    'shop-__replays': ['replays', undefined],
    'shop-__scheduler': ['scheduler', undefined],
    'shop-named-changelog': ['output', undefined],
    'shop-own': ['inbox', 'own'],
    'shop-own-a-repartition': ['repartition', 'own'],
    'shop-own-dlq': ['dead letters', 'own'],
    'shop-rates-global': ['global', 'rates'],
    'shop-replies': ['replies', undefined],
    'shop-sums-changelog': ['changelog', 'sums'],
  })
  expect(
    [...parts]
      .filter(([, { internal }]) => !internal)
      .map(([name]) => name)
      .toSorted(),
  ).toEqual(['large', 'orders', 'shop-named-changelog'])
})
