import type { TopicSettings } from '@millrace/core/driver'
import type { AppTopic } from '@millrace/core/operations'
import { describe, expect, test } from 'vitest'
import { fakeTopic } from '../../fixtures/fake-app.ts'
import { checkReplicas } from './check-replicas.ts'
import { checkRetention } from './check-retention.ts'

const DAY_MS = 86_400_000
const alter = (topic: string, setting: string, value: string): string => `${topic} ${setting}=${value}`

const topic = (name: string, role: AppTopic['role'], settings: Partial<TopicSettings> = {}): AppTopic =>
  fakeTopic(name, { role, owner: 'x', internal: true, settings })

const compact = { compacted: true, expires: false }

describe('retention of topics', () => {
  const found = (...topics: readonly AppTopic[]): readonly (readonly [string, string, string | null])[] =>
    checkRetention(topics, alter).map(({ status, detail, fix }) => [status, detail, fix])

  test('no findings for topics as Millrace creates them', () => {
    const topics = [
      topic('orders', 'source'),
      topic('a-inbox', 'inbox'),
      topic('a-x-changelog', 'changelog', compact),
      topic('a-x-global', 'global', compact),
      topic('a-__scheduler', 'scheduler', compact),
      topic('a-__replays', 'replays', compact),
      topic('a-x-dlq', 'dead letters', { retentionMs: 30 * DAY_MS }),
      topic('a-x-by-repartition', 'repartition', { retentionMs: undefined }),
      topic('a-replies', 'replies', { retentionMs: 3_600_000 }),
      topic('a-__assignor-__leader', 'leader'),
    ]
    expect(found(...topics)).toEqual([['ok', '10 topics keep what the app needs.', null]])
  })

  test.each([
    ['changelog', { retentionMs: 7 * DAY_MS }, 'wrong', /cleanup\.policy=delete and retention\.ms=604800000 \(7d\)/],
    ['changelog', { compacted: true }, 'wrong', /cleanup\.policy=compact,delete/],
    ['changelog', { retentionMs: undefined, retentionBytes: 5 }, 'wrong', /retention\.bytes=5/],
    ['changelog', { retentionMs: undefined }, 'note', /not compacted/],
    ['changelog', { ...compact, tombstoneMs: 60_000 }, 'note', /deletions for 1m only/],
    ['global', {}, 'wrong', /rows of the global table/],
    ['scheduler', {}, 'wrong', /may run twice/],
    ['replays', {}, 'wrong', /may be sent twice/],
    ['dead letters', compact, 'wrong', /one letter of each key/],
    ['dead letters', { retentionMs: 3_600_000 }, 'note', /letters for 1h only/],
    ['repartition', compact, 'wrong', /before they are read/],
    ['repartition', {}, 'note', /has retention\.ms=604800000 \(7d\).*may go before they are read/],
    ['repartition', { retentionMs: undefined, retentionBytes: 5 }, 'note', /has retention\.bytes=5.*may go/],
    ['replies', { compacted: true }, 'wrong', /before they are read/],
  ] as const)('%s with %j: %s', (role, settings, status, detail) => {
    expect(found(topic('t', role, settings))).toEqual([
      [status, expect.stringMatching(detail), expect.stringMatching(/^t [a-z.]+=/)],
    ])
  })

  test('a topic between agents with shorter retention than its source', () => {
    const source = topic('orders', 'source', { retentionMs: undefined })
    expect(found(source, topic('r', 'between'))).toEqual([
      ['ok', '1 topic keeps what the app needs.', null],
      ['note', expect.stringMatching(/Topic r keeps records for 7d .*orders for ever/), 'r retention.ms=-1'],
    ])
  })

  test('a dead letter topic with a smaller record limit than its source', () => {
    const source = topic('orders', 'source', { maxBatchBytes: 5_000_000 })
    expect(found(source, topic('d', 'dead letters', { retentionMs: undefined }))).toContainEqual([
      'note',
      expect.stringMatching(/1048588 bytes at most, orders 5000000/),
      'd max.message.bytes=5000000',
    ])
  })

  test('hidden settings are reported', () => {
    expect(found({ ...topic('t', 'changelog'), settings: undefined })).toEqual([
      ['note', expect.stringContaining('t cannot be seen'), expect.stringContaining('DescribeConfigs')],
    ])
  })
})

describe('copies of topics', () => {
  const found = (
    brokers: number,
    ...topics: readonly AppTopic[]
  ): readonly (readonly [string, string, string | null])[] =>
    checkReplicas(topics, brokers, alter).map(({ status, detail, fix }) => [status, detail, fix])
  const copies = (replicas: number, minInSyncReplicas: number): AppTopic =>
    topic('t', 'changelog', { ...compact, replicas, minInSyncReplicas })

  test.each([
    [1, 1, 1, undefined, /./],
    [3, 3, 2, 'ok', /enough copies on 3 brokers/],
    [3, 1, 1, 'wrong', /one copy of t on 3 brokers/],
    [2, 1, 1, 'note', /one copy of t on 2 brokers/],
    [3, 2, 2, 'note', /stops when one broker is down/],
    [3, 3, 1, 'note', /when one copy of several has them/],
    [2, 3, 2, 'note', /2 brokers are up, fewer than t has copies/],
  ] as const)('%i brokers, %i copies, %i in sync: %s', (brokers, replicas, inSync, status, detail) => {
    const [first, ...more] = found(brokers, copies(replicas, inSync))
    expect(more).toEqual([])
    expect(first?.[0]).toBe(status)
    expect(first?.[1] ?? 'none').toMatch(detail)
  })

  test('min.insync.replicas above the number of copies blocks writes', () => {
    expect(found(1, copies(1, 2))).toEqual([
      ['wrong', expect.stringContaining('nothing can be written'), 't min.insync.replicas=1'],
    ])
  })

  test('a foreign topic with one copy gives a note, which similar topics share', () => {
    const others = ['a', 'b'].map((name) => fakeTopic(name))
    expect(found(3, ...others)).toEqual([
      ['note', expect.stringContaining('one copy of a, b on 3'), expect.any(String)],
    ])
  })
})
