import { deadLetterTopic, type TopicDeclaration } from '@millrace/core'

/** Long enough for somebody to look at it; the topic's settings can be changed on the broker. */
const RETENTION_DAYS = 30

/** As it is created: with as many partitions as the largest source, so that a letter keeps its record's partition. */
export function deadLetterDeclaration(appId: string, agent: string, sources: readonly string[]): TopicDeclaration {
  return {
    name: deadLetterTopic(appId, agent),
    partitions: undefined,
    sizedAs: sources,
    config: { 'cleanup.policy': 'delete', 'retention.ms': String(RETENTION_DAYS * 24 * 60 * 60 * 1000) },
    create: true,
    internal: true,
    keyCodec: undefined,
  }
}
