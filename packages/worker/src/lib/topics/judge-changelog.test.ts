import type { TopicSettings } from '@millrace/core/driver'
import type { StateDefinition } from '../contracts/task.ts'
import { expect, test } from 'vitest'
import { judgeChangelog } from './judge-changelog.ts'

const WEEK_MS = 604_800_000

const table = (policy = 'compact'): StateDefinition => ({
  name: 'counts',
  changelog: { topic: 'app-counts-changelog', config: { 'cleanup.policy': policy } },
  partitions: undefined,
  openState: () => {
    throw new Error('not opened here')
  },
})

const settings = (more: Partial<TopicSettings>): TopicSettings => ({
  name: 'app-counts-changelog',
  compacted: true,
  expires: false,
  retentionMs: WEEK_MS,
  retentionBytes: undefined,
  tombstoneMs: 86_400_000,
  maxBatchBytes: 1_048_588,
  replicas: 3,
  minInSyncReplicas: 2,
  ...more,
})

test('a compacted changelog is right, whatever its retention', () => {
  expect(judgeChangelog(table(), settings({}))).toBeUndefined()
})

test.each<[Partial<TopicSettings>, RegExp]>([
  [{ compacted: false, expires: true }, /cleanup\.policy=delete with retention\.ms=604800000/],
  [{ expires: true }, /cleanup\.policy=compact,delete with retention\.ms=604800000/],
  [{ compacted: false, expires: true, retentionMs: undefined, retentionBytes: 1000 }, /retention\.bytes=1000/],
])('the error of a changelog that loses rows names table, topic, setting and fix: %j', (more, expected) => {
  const fault = judgeChangelog(table(), settings(more))
  if (fault?.kind !== 'loses rows') throw new Error(`It was found to be ${fault?.kind}.`)
  expect(fault.error.code).toBe('CHANGELOG_LOSES_ROWS')
  expect(fault.error.detail).toMatch(expected)
  expect(fault.error.detail).toMatch(/app-counts-changelog.*table counts.*--add-config cleanup\.policy=compact/)
})

test('a changelog that keeps everything only grows', () => {
  expect(judgeChangelog(table(), settings({ compacted: false, expires: true, retentionMs: undefined }))).toMatchObject({
    kind: 'grows',
  })
  expect(judgeChangelog(table(), settings({ compacted: false }))).toMatchObject({ kind: 'grows' })
})

test('rows may expire if the table itself declares it', () => {
  expect(judgeChangelog(table('compact,delete'), settings({ expires: true }))).toBeUndefined()
})
