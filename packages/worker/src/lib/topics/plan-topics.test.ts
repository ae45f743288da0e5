import type { StateDefinition } from '../contracts/task.ts'
import type { SubscriptionSpec, TopicDeclaration } from '../contracts/worker-context.ts'
import { expect, test } from 'vitest'
import { planTopics, type TopicsWanted } from './plan-topics.ts'

const topic = (name: string, more: Partial<TopicDeclaration> = {}): TopicDeclaration => ({
  name,
  partitions: undefined,
  config: {},
  create: true,
  internal: false,
  keyCodec: undefined,
  ...more,
})

const reads = (agent: string, ...topics: string[]): SubscriptionSpec => ({
  id: `${agent}/${topics.join('+')}`,
  topics,
  agent,
  instances: 1,
  ordering: 'key',
})

const table = (name: string, partitions?: number): StateDefinition => ({
  name,
  changelog: { topic: `app-${name}-changelog`, config: { 'cleanup.policy': 'compact' } },
  partitions,
  openState: () => {
    throw new Error('not opened here')
  },
})

function plan(
  wanted: Partial<Omit<TopicsWanted, 'topics' | 'existing'>> & {
    topics?: TopicDeclaration[]
    existing?: Record<string, number>
  },
): ReturnType<typeof planTopics> {
  return planTopics({
    appId: 'app',
    subscriptions: [],
    states: [],
    topicPartitions: 8,
    replicationFactor: -1,
    mayCreate: true,
    ...wanted,
    topics: new Map((wanted.topics ?? []).map((one) => [one.name, one])),
    existing: new Map(Object.entries(wanted.existing ?? {})),
  })
}

test('missing topics are created with their partition count and settings, and each table gets a changelog', () => {
  const counts = table('counts')
  const { create, states } = plan({
    topics: [topic('posts', { partitions: 4, config: { 'retention.ms': '1' } }), topic('words'), topic('there')],
    existing: { there: 2 },
    subscriptions: [reads('count', 'words')],
    states: [counts],
  })
  expect(create).toEqual([
    { name: 'posts', partitions: 4, replicationFactor: -1, config: { 'retention.ms': '1' } },
    { name: 'words', partitions: 8, replicationFactor: -1, config: {} },
    { name: 'app-counts-changelog', partitions: 8, replicationFactor: -1, config: { 'cleanup.policy': 'compact' } },
  ])
  expect(states.get(counts)).toBe(8)
})

test('a repartition topic has as many partitions as the topics that its agent reads', () => {
  const { topics } = plan({
    topics: [
      topic('posts', { partitions: 3 }),
      topic('app-by-user', { internal: true }),
      topic('app-dlq', { internal: true }),
    ],
    subscriptions: [reads('count', 'posts'), reads('count', 'app-by-user')],
  })
  expect(Object.fromEntries(topics)).toEqual({ posts: 3, 'app-by-user': 3, 'app-dlq': 8 })
})

test('a topic that is sized as others has as many partitions as the largest of them, whoever else declares it', () => {
  const sizedAs = ['posts', 'old']
  const { topics } = plan({
    topics: [
      topic('posts', { partitions: 3 }),
      topic('old'),
      topic('app-a-dlq', { internal: true, sizedAs }),
      topic('app-b-dlq', { sizedAs }),
      topic('app-c-dlq', { internal: true, sizedAs: [] }),
    ],
    existing: { old: 5 },
  })
  expect(Object.fromEntries(topics)).toMatchObject({ 'app-a-dlq': 5, 'app-b-dlq': 5, 'app-c-dlq': 8 })
})

test.each<[string, StateDefinition, Record<string, number>, number]>([
  ["the changelog's count when it exists", table('t'), { a: 4, b: 8, 'app-t-changelog': 4 }, 4],
  ['the explicit count', table('t', 4), { a: 4, b: 8 }, 4],
  ['the count of all sources if they agree', table('t'), { a: 4, b: 4 }, 4],
  ['topicPartitions if some source has that count', table('t'), { a: 4, b: 8 }, 8],
  ["not influenced by the leader's topic", table('t'), { a: 4, b: 4, 'app-__assignor-__leader': 1 }, 4],
])('table partitions: %s', (_, state, existing, expected) => {
  const sources = Object.keys(existing).filter((name) => !name.endsWith('changelog'))
  const { states } = plan({ existing, subscriptions: [reads('x', ...sources)], states: [state] })
  expect(states.get(state)).toBe(expected)
})

test.each<[StateDefinition, Record<string, number>, RegExp]>([
  [table('t'), { a: 4, b: 6 }, /table t is undecided.*a 4, b 6/],
  [
    table('t'),
    { a: 4, 'app-t-changelog': 8 },
    /changelog app-t-changelog has 8 partitions, which no source topic has: a 4/,
  ],
  [table('t', 5), { a: 4 }, /declared with 5 partitions, which no source/],
  [table('t', 4), { a: 4, 'app-t-changelog': 8 }, /declared with 4 partitions; its changelog app-t-changelog has 8/],
])('invalid partition counts of tables: %#', (state, existing, message) => {
  const sources = Object.keys(existing).filter((name) => !name.endsWith('changelog'))
  const run = (): unknown => plan({ existing, subscriptions: [reads('x', ...sources)], states: [state] })
  expect(run).toThrow(expect.objectContaining({ code: 'NOT_COPARTITIONED' }))
  expect(run).toThrow(message)
})

test('a state that says by which topics it goes has their count, whatever others there are', () => {
  const counts = { ...table('counts'), sizedAs: ['words'] }
  const { states } = plan({
    topics: [topic('posts', { partitions: 3 }), topic('words', { partitions: 5 })],
    subscriptions: [reads('count', 'posts'), reads('group', 'words')],
    states: [counts],
  })
  expect(states.get(counts)).toBe(5)
})

test('the error of a missing topic that the app may not create names its readers', () => {
  expect(() => plan({ topics: [topic('posts', { create: false })], subscriptions: [reads('count', 'posts')] })).toThrow(
    /TOPIC_MISSING.*posts.*agent count/,
  )
  expect(() => plan({ subscriptions: [reads('count', 'posts')] })).toThrow(/TOPIC_MISSING/)
})

test('a partition count other than the declared one is reported', () => {
  expect(plan({ topics: [topic('posts', { partitions: 3 })], existing: { posts: 5 } }).differing).toEqual([
    { topic: 'posts', declared: 3, existing: 5 },
  ])
})
