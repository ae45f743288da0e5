import type { TopicSettings } from '@millrace/core/driver'

/** The settings that are requested. */
export const SETTING_NAMES: readonly string[] = Object.freeze([
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'delete.retention.ms',
  'max.message.bytes',
  'min.insync.replicas',
])

/** Makes a topic's settings from Kafka's description. `replicas` is that of the partition with the fewest. */
export function topicSettings(
  name: string,
  config: ReadonlyMap<string, string | null>,
  replicas: number,
): TopicSettings {
  const numeric = (setting: string, otherwise: number): number => Number(config.get(setting) ?? otherwise)
  const policies = (config.get('cleanup.policy') ?? 'delete').split(',').map((policy) => policy.trim())
  return {
    name,
    compacted: policies.includes('compact'),
    expires: policies.includes('delete'),
    retentionMs: bounded(numeric('retention.ms', -1)),
    retentionBytes: bounded(numeric('retention.bytes', -1)),
    tombstoneMs: numeric('delete.retention.ms', 86_400_000),
    maxBatchBytes: numeric('max.message.bytes', 1_048_588),
    replicas,
    minInSyncReplicas: numeric('min.insync.replicas', 1),
  }
}

/** Kafka writes -1 for no limit; people often write the largest possible number. */
function bounded(value: number): number | undefined {
  return value < 0 || value > Number.MAX_SAFE_INTEGER ? undefined : value
}
