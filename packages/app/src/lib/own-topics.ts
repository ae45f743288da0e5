import type { Definitions } from './definitions.ts'
import { topicsOf } from './describe-app.ts'

/** Repartition topics of one agent among the topics of a broker: their names are known only once its handler has run. */
export function repartitionTopics(appId: string, agent: string, existing: Iterable<string>): readonly string[] {
  return [...existing].filter((name) => name.startsWith(`${appId}-${agent}-`) && name.endsWith('-repartition'))
}

/**
 * The topics among `existing` that hold nothing but what the app has made of its sources: changelogs, topics of global
 * tables, repartition topics, replies. Never one that the app file names itself or that an agent reads.
 */
export function derivedTopics(
  appId: string,
  definitions: Pick<Definitions, 'topics' | 'agents' | 'tables' | 'globalTables'>,
  existing: readonly string[],
): readonly string[] {
  const { agents, tables, globalTables } = definitions
  const kept = new Set(topicsOf(definitions).map(({ name }) => name))
  const own = new Set([
    `${appId}-replies`,
    ...[...tables.values()].map(({ changelog }) => changelog.topic),
    ...[...globalTables.values()].flatMap(({ source }) => (source.internal ? source.name : [])),
    ...[...agents.keys()].flatMap((agent) => repartitionTopics(appId, agent, existing)),
  ])
  return existing.filter((name) => own.has(name) && !kept.has(name)).sort()
}
