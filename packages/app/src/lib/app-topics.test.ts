import { describe, expect, test } from 'vitest'
import { App } from './app.ts'
import { partsOfTopics } from './app-topics.ts'
import { createApp } from './create-app.ts'
import type { GroupReads } from './group-reads.ts'

/** A topic with the subscriptions that the group's commits in it name. */
type Read = readonly [topic: string, ...ids: string[]]

const reads = (...topics: Read[]): GroupReads => new Map(topics.map(([topic, ...ids]) => [topic, new Set(ids)]))

test('topics are told apart by what they are to the app; those of others are left out', () => {
  const app = createApp({ id: 'shop', broker: 'memory:' })
  app.table('sums', { key: 'string', value: 'number' })
  app.table('named', { key: 'string', value: 'number' })
  app.globalTable('rates', { key: 'string', value: 'number' })
  // The app file has named them: they are its own, whatever they look like.
  app.topic('shop-named-changelog', { value: 'string' })
  const orders = app.topic('orders', { value: 'number' })
  app.topic('extra', { value: 'number' })
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
  const parts = partsOfTopics('shop', App.partsOf(app).definitions, {
    existing: [
      'extra',
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
    ],
    reads: reads(['orders', 'sort'], ['shop-own-a-repartition', 'own-a'], ['extra', 'look-merge-extra']),
  })
  expect(Object.fromEntries([...parts].map(([name, { role, owner }]) => [name, [role, owner]]))).toEqual({
    // Merged into a stream, which only the handler knows, and the group's commits.
    extra: ['source', undefined],
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
  ).toEqual(['extra', 'large', 'orders', 'shop-named-changelog'])
})

describe('an app whose names begin as those of another', () => {
  /** App `shop` with agent `eu`; app `shop-eu` has an agent `sort` that groups by `size`. */
  const THEIRS = 'shop-eu-sort-size-repartition'
  const OURS = 'shop-eu-by-repartition'
  const roles = (...given: Read[]): Record<string, string> => {
    const app = createApp({ id: 'shop', broker: 'memory:' })
    app.agent('eu', app.topic('orders', { value: 'number' }), async (stream) => {
      for await (const _ of stream.groupBy(String, { name: 'by' }));
    })
    const { definitions } = App.partsOf(app)
    const parts = partsOfTopics('shop', definitions, {
      existing: [...new Set([THEIRS, OURS, ...given.map(([name]) => name)])],
      reads: reads(...given),
    })
    return Object.fromEntries([...parts].map(([name, { role }]) => [name, role]))
  }

  test('the topic is ours when a commit of our group names the subscription that reads it', () => {
    expect(roles(['orders', 'eu'], [OURS, 'eu-by'])).toEqual({ [OURS]: 'repartition', orders: 'source' })
  })

  test('one that our group has never read is not, for the group goes on without it', () => {
    expect(roles(['orders', 'eu'])).toEqual({ orders: 'source' })
  })

  test('of a group without commits nothing is known', () => {
    expect(roles()).toEqual({ [OURS]: 'lookalike', [THEIRS]: 'lookalike' })
  })

  test('a commit that names no subscription, or that of another topic, proves nothing', () => {
    expect(roles([THEIRS], [OURS, 'eu-other'])).toEqual({ [OURS]: 'lookalike', [THEIRS]: 'lookalike' })
  })

  test('what a step has made that is no longer in the code is ours all the same', () => {
    expect(roles(['shop-eu-gone-repartition', 'eu-gone'], [OURS, 'eu-by'])).toEqual({
      [OURS]: 'repartition',
      'shop-eu-gone-repartition': 'repartition',
    })
  })
})
