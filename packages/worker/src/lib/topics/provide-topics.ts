import { MillraceError } from '@millrace/core'
import type { Admin, TopicSpec } from '@millrace/core/driver'

/**
 * Creates missing topics. If the app may not create any (`topics.create: false`), throws `TOPIC_MISSING` with the
 * commands that do.
 */
export async function provideTopics(
  admin: Pick<Admin, 'topics' | 'createTopics'>,
  specs: readonly TopicSpec[],
  mayCreate: boolean,
): Promise<void> {
  if (mayCreate) return admin.createTopics(specs)
  const there = new Set((await admin.topics(specs.map(({ name }) => name))).map(({ name }) => name))
  const missing = specs.filter(({ name }) => !there.has(name))
  if (missing.length > 0) throw topicsToCreate(missing)
}

/** Tells an operator how to create the topics that the app may not create. */
export function topicsToCreate(specs: readonly TopicSpec[]): MillraceError {
  const what = specs.length === 1 ? 'this topic is' : `these ${specs.length} topics are`
  return new MillraceError(
    'TOPIC_MISSING',
    `The app creates no topics (topics.create: false), and ${what} missing, or invisible to the app without the right Describe:\n${specs.map(commandFor).join('\n')}\nThe rights that the app needs on them are in docs/reference/rights.md.`,
  )
}

/** The command that creates a topic, indented for a message. */
export function commandFor({ name, partitions, replicationFactor, config }: TopicSpec): string {
  const settings = Object.entries(config).map(([setting, value]) => `--config ${setting}=${value}`)
  // Without a number the brokers' default applies.
  const copies = replicationFactor > 0 ? [`--replication-factor ${replicationFactor}`] : []
  return [
    `  kafka-topics.sh --bootstrap-server HOST:PORT --create --topic ${name} --partitions ${partitions}`,
    ...copies,
    ...settings,
  ].join(' ')
}
