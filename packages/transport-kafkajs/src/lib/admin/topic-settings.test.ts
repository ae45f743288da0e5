import { expect, test } from 'vitest'
import { topicSettings } from './topic-settings.ts'

const settings = (config: Readonly<Record<string, string>>): ReturnType<typeof topicSettings> =>
  topicSettings('t', new Map(Object.entries(config)), 3)

test.each([
  ['compact', true, false],
  ['delete', false, true],
  ['compact,delete', true, true],
  ['delete, compact', true, true],
  // Kafka 4 with tiered storage: kept for ever.
  ['', false, false],
])('cleanup.policy "%s"', (policy, compacted, expires) => {
  expect(settings({ 'cleanup.policy': policy })).toMatchObject({ name: 't', compacted, expires, replicas: 3 })
})

test('no limit is said as -1, or as a number that is as good as none', () => {
  expect(settings({ 'retention.ms': '-1', 'retention.bytes': '9223372036854775807' })).toMatchObject({
    retentionMs: undefined,
    retentionBytes: undefined,
  })
  expect(settings({ 'retention.ms': '0', 'retention.bytes': '10' })).toMatchObject({
    retentionMs: 0,
    retentionBytes: 10,
  })
})

test('what the broker keeps to itself counts as its default', () => {
  expect(settings({})).toMatchObject({
    compacted: false,
    expires: true,
    minInSyncReplicas: 1,
    maxBatchBytes: 1_048_588,
  })
})
