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

test('an unlimited setting may be -1, or a number so large that it means the same', () => {
  expect(settings({ 'retention.ms': '-1', 'retention.bytes': '9223372036854775807' })).toMatchObject({
    retentionMs: undefined,
    retentionBytes: undefined,
  })
  expect(settings({ 'retention.ms': '0', 'retention.bytes': '10' })).toMatchObject({
    retentionMs: 0,
    retentionBytes: 10,
  })
})

test('a value that the broker withholds counts as its default', () => {
  expect(settings({})).toMatchObject({
    compacted: false,
    expires: true,
    minInSyncReplicas: 1,
    maxBatchBytes: 1_048_588,
  })
})
