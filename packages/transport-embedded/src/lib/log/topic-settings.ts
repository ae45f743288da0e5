import type { TopicSettings } from '@millrace/core/driver'
import type { StoredTopic } from './log-backend.ts'

/** Of a topic. */
export const MAX_PARTITIONS = 10_000

/** Kafka's defaults of the settings that a local log heeds. */
const DEFAULTS: Readonly<Record<NumericSetting, number>> = Object.freeze({
  'retention.ms': 604_800_000,
  'delete.retention.ms': 86_400_000,
  'max.message.bytes': 1_048_588,
})

type NumericSetting = 'retention.ms' | 'delete.retention.ms' | 'max.message.bytes'

/** A number among a topic's settings. */
export function numericSetting({ config }: Pick<StoredTopic, 'config'>, name: NumericSetting): number {
  return Number(config[name] ?? DEFAULTS[name])
}

/** `cleanup.policy`, taken apart. */
export function cleanupOf({ config }: Pick<StoredTopic, 'config'>): {
  readonly compacted: boolean
  readonly expires: boolean
} {
  const policy = config['cleanup.policy'] ?? 'delete'
  return { compacted: policy.includes('compact'), expires: policy.includes('delete') }
}

/** A topic's settings as the contract shows them. A local log knows no `retention.bytes` and keeps one copy. */
export function topicSettings(topic: StoredTopic): TopicSettings {
  const retentionMs = numericSetting(topic, 'retention.ms')
  return {
    name: topic.name,
    ...cleanupOf(topic),
    retentionMs: retentionMs < 0 ? undefined : retentionMs,
    retentionBytes: undefined,
    tombstoneMs: numericSetting(topic, 'delete.retention.ms'),
    maxBatchBytes: numericSetting(topic, 'max.message.bytes'),
    replicas: 1,
    minInSyncReplicas: 1,
  }
}
