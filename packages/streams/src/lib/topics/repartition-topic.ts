import { type CodecSpec, repartitionTopic } from '@millrace/core'
import type { StreamsDeps } from '../streams-deps.ts'
import { createInternalTopic } from './create-topic.ts'
import type { AnyTopic } from './topic.ts'

/** Small enough for the broker to free what was read soon: it deletes whole segments only. As Kafka Streams has it. */
const SEGMENT_BYTES = 50 * 1024 * 1024

export interface RepartitionTopicOptions {
  readonly subscriptionId: string
  readonly key: CodecSpec
  readonly value: CodecSpec
  readonly partitions: number | undefined
}

/**
 * As it is created: it keeps everything, whatever the broker's defaults are, until it has been read. Its records carry the
 * times of their events, so that by any retention old events could go before anybody has seen them.
 */
export function createRepartitionTopic(
  deps: StreamsDeps,
  { subscriptionId, key, value, partitions }: RepartitionTopicOptions,
): AnyTopic {
  return createInternalTopic(deps, repartitionTopic(deps.appId, subscriptionId), {
    key,
    value,
    partitions,
    config: {
      'cleanup.policy': 'delete',
      'retention.ms': '-1',
      'retention.bytes': '-1',
      'segment.bytes': String(SEGMENT_BYTES),
    },
  })
}
