import { MillraceError, type TopicSpec } from '@millrace/core'

const MAX_PARTITIONS = 10_000
const CLEANUP_POLICIES = ['delete', 'compact', 'compact,delete', 'delete,compact']

/** Throws `TOPIC_INVALID` for what Kafka would refuse too. */
export function checkTopic({ name, partitions, config }: TopicSpec): void {
  const invalid = (why: string): MillraceError => new MillraceError('TOPIC_INVALID', `Topic "${name}": ${why}.`)
  if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..') {
    throw invalid('a name has 1 to 249 letters, digits, dots, dashes and underscores')
  }
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS) {
    throw invalid(`the partition count must be 1 to ${MAX_PARTITIONS}, not ${partitions}`)
  }
  const policy = config['cleanup.policy']
  if (policy !== undefined && !CLEANUP_POLICIES.includes(policy))
    throw invalid(`cleanup.policy "${policy}" is not known`)
  for (const setting of ['max.message.bytes', 'retention.ms', 'delete.retention.ms']) {
    const value = config[setting]
    if (value !== undefined && !/^-?\d+$/.test(value))
      throw invalid(`${setting} must be a whole number, not "${value}"`)
  }
}
