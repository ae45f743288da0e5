import { numberCodec, stringCodec } from '@millrace/core'
import type { TopicDeclaration } from '@millrace/worker'
import { describe, expect, test } from 'vitest'
import { partsOfTopics, type GroupReads } from './app-topics.ts'
import type { DeclaredAgent, DeclaredApp, DeclaredTable, DeclaredTopic } from './declared-app.ts'

/** A topic with the subscriptions that the group's commits in it name. */
type Read = readonly [topic: string, ...ids: string[]]

const reads = (...topics: Read[]): GroupReads => new Map(topics.map(([topic, ...ids]) => [topic, new Set(ids)]))

function topicDeclaration(name: string, internal = false): TopicDeclaration {
  return { name, partitions: undefined, config: {}, create: true, internal, keyCodec: undefined }
}

function topic(name: string): DeclaredTopic {
  return { name, key: stringCodec, value: numberCodec, keyExpected: true, declaration: topicDeclaration(name) }
}

function agent(name: string, inbox: DeclaredTopic, sinks: readonly string[] = []): DeclaredAgent {
  const ownsInbox = inbox.name === `shop-${name}`
  return { name, topics: [inbox.name], sinks, inbox, ownsInbox, concurrency: undefined, help: '' }
}

const readable = {
  help: undefined,
  keyCodec: 'string',
  valueCodec: 'number',
  lookup: () => undefined,
  async *entries() {},
}

function table(name: string): DeclaredTable {
  const opens = (): never => {
    throw new Error('Only the topic’s name is used here.')
  }
  const changelog = { topic: `shop-${name}-changelog`, config: {} }
  const keys = { parseKey: opens, partitionOf: opens, state: opens }
  return { kind: 'table', table: { ...readable, ...keys, name, changelog, partitions: undefined, openState: opens } }
}

function globalTable(name: string): DeclaredTable {
  const replica = (): never => {
    throw new Error('Only the topic’s name is used here.')
  }
  return {
    kind: 'global',
    table: { ...readable, name, source: topicDeclaration(`shop-${name}-global`, true) },
    replica,
  }
}

test('classifies topics by their role in the app, and leaves out those of others', () => {
  const [orders, large, own] = [topic('orders'), topic('large'), topic('shop-own')]
  const declared: DeclaredApp = {
    // The app file names these topics, so they are its own, whatever their names look like.
    topics: () => [topic('shop-named-changelog'), orders, topic('extra'), large, own],
    agents: () => [agent('own', own), agent('sort', orders, ['large']), agent('look', large)],
    tables: () => [table('sums'), table('named'), globalTable('rates')],
    needs: () => ({ topics: [], leads: false }),
  }
  const parts = partsOfTopics('shop', declared, {
    existing: [
      'extra',
      'large',
      'orders',
      'shop-__assignor-__leader',
      'shop-__progress',
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
    // Merged into a stream: only the handler and the group's commits know these topics.
    extra: ['source', undefined],
    large: ['between', undefined],
    orders: ['source', undefined],
    'shop-__assignor-__leader': ['leader', undefined],
    'shop-__progress': ['progress', undefined],
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

describe('an app whose names share a prefix with another’s', () => {
  /** App `shop` with agent `eu`; app `shop-eu` has an agent `sort` that groups by `size`. */
  const THEIRS = 'shop-eu-sort-size-repartition'
  const OURS = 'shop-eu-by-repartition'
  const roles = (...given: Read[]): Record<string, string> => {
    const orders = topic('orders')
    const declared: DeclaredApp = {
      topics: () => [orders],
      agents: () => [agent('eu', orders)],
      tables: () => [],
      needs: () => ({ topics: [], leads: false }),
    }
    const parts = partsOfTopics('shop', declared, {
      existing: [...new Set([THEIRS, OURS, ...given.map(([name]) => name)])],
      reads: reads(...given),
    })
    return Object.fromEntries([...parts].map(([name, { role }]) => [name, role]))
  }

  test('the topic belongs to the app if a commit of its group names the subscription that reads it', () => {
    expect(roles(['orders', 'eu'], [OURS, 'eu-by'])).toEqual({ [OURS]: 'repartition', orders: 'source' })
  })

  test('a topic that the group has never read does not belong to it', () => {
    expect(roles(['orders', 'eu'])).toEqual({ orders: 'source' })
  })

  test('a group without commits proves nothing', () => {
    expect(roles()).toEqual({ [OURS]: 'lookalike', [THEIRS]: 'lookalike' })
  })

  test('a commit that names no subscription, or that of another topic, proves nothing', () => {
    expect(roles([THEIRS], [OURS, 'eu-other'])).toEqual({ [OURS]: 'lookalike', [THEIRS]: 'lookalike' })
  })

  test('a topic of a step that was removed from the code still belongs to the app', () => {
    expect(roles(['shop-eu-gone-repartition', 'eu-gone'], [OURS, 'eu-by'])).toEqual({
      [OURS]: 'repartition',
      'shop-eu-gone-repartition': 'repartition',
    })
  })
})
