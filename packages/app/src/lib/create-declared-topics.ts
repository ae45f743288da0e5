import type { Admin, ResolvedSettings } from '@millrace/core'
import type { Definitions } from './definitions.ts'
import { topicsOf } from './describe-app.ts'

/** Creates the topics that the app names and may create, as a worker would; those that are there stay as they are. */
export async function createDeclaredTopics(
  admin: Admin,
  definitions: Definitions,
  { topicPartitions, replicationFactor }: ResolvedSettings,
): Promise<void> {
  const declared = topicsOf(definitions).map(({ declaration }) => declaration)
  const known = new Set((await admin.topics(declared.map(({ name }) => name))).map(({ name }) => name))
  const missing = declared.filter(({ name, create }) => create && !known.has(name))
  if (missing.length === 0) return
  await admin.createTopics(
    missing.map(({ name, partitions = topicPartitions, config }) => ({ name, partitions, replicationFactor, config })),
  )
}
