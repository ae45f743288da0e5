import type { MissingTopic } from '@millrace/core/operations'
import {
  brokenBatchesDeclaration,
  commandFor,
  leaderDeclaration,
  planTopics,
  type SubscriptionSpec,
  type TopicDeclaration,
} from '@millrace/worker'
import type { Connection } from './declared-app.ts'

/**
 * The topics that a worker would miss, as far as the app file tells: topics between the steps of a handler are unknown
 * until it runs. Throws the reason if the topology is impossible, as a worker would.
 */
export async function missingTopics({ app, admin }: Connection): Promise<readonly MissingTopic[]> {
  const { declared, surroundings } = app
  const { settings } = surroundings
  const { id: appId, topicPartitions, replicationFactor, onBatchError } = settings
  const { topics: needed, leads } = declared.needs(appId)
  const tables = declared.tables()
  const declarations: readonly TopicDeclaration[] = [
    ...declared.topics().map(({ declaration }) => declaration),
    ...tables.flatMap((each) => (each.kind === 'global' ? [each.table.source] : [])),
    ...needed,
    ...(leads ? [leaderDeclaration(appId)] : []),
    ...(onBatchError === 'deadLetter' ? [brokenBatchesDeclaration(appId)] : []),
  ]
  const topics = new Map(declarations.map((declaration) => [declaration.name, declaration]))
  const subscriptions = declared.agents().map(({ name, topics: read }): SubscriptionSpec => {
    return { id: name, agent: name, topics: read, instances: 1, ordering: 'key' }
  })
  const states = tables.flatMap((each) => (each.kind === 'global' ? [] : [each.table]))
  const existing = new Map((await admin.topics()).map(({ name, partitions }) => [name, partitions]))
  const wanted = { appId, topics, subscriptions, states, existing, topicPartitions, replicationFactor }
  const { create } = planTopics({ ...wanted, mayCreate: false })
  return create.map((spec) => ({
    name: spec.name,
    created: settings.topics.create && topics.get(spec.name)?.create !== false,
    command: commandFor(spec),
  }))
}
