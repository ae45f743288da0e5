import type { TopicSettings } from '@millrace/core/driver'
import type { StoredTopic } from './log-backend.ts'

/** The most partitions of a topic. */
export const MAX_PARTITIONS = 10_000

/** Kafka's defaults of the settings that a local log supports. */
const DEFAULTS: Readonly<Record<NumericSetting, number>> = Object.freeze({
  'retention.ms': 604_800_000,
  'delete.retention.ms': 86_400_000,
  'max.message.bytes': 1_048_588,
})

type NumericSetting = 'retention.ms' | 'delete.retention.ms' | 'max.message.bytes'

/** A numeric setting of a topic. */
export function numericSetting({ config }: Pick<StoredTopic, 'config'>, name: NumericSetting): number {
  return Number(config[name] ?? DEFAULTS[name])
}

/** The parsed `cleanup.policy`. */
export function cleanupOf({ config }: Pick<StoredTopic, 'config'>): {
  readonly compacted: boolean
  readonly expires: boolean
} {
  const policy = config['cleanup.policy'] ?? 'delete'
  return { compacted: policy.includes('compact'), expires: policy.includes('delete') }
}

/** A topic's settings in the form of the contract. A local log has no `retention.bytes` and one replica. */
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
