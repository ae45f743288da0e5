import type { TopicSettings } from '@millrace/core/driver'

/** What is asked for. */
export const SETTING_NAMES: readonly string[] = Object.freeze([
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'delete.retention.ms',
  'max.message.bytes',
  'min.insync.replicas',
])

/** A topic's settings from what Kafka says of it. `replicas` is of the partition that has fewest. */
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

/** Kafka writes -1 where there is no limit; people write the largest number there is. */
function bounded(value: number): number | undefined {
  return value < 0 || value > Number.MAX_SAFE_INTEGER ? undefined : value
}
