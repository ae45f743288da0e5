import { isMillraceError, type Admin, type AppTopic, type TopicRole, type TopicSettings } from '@millrace/core'
import { schedulerTopic } from '@millrace/scheduler'
import { deadLetterTopic, mergedSubscription, repartitionTopic, replayLedgerTopic } from '@millrace/streams'
import { brokenBatchesTopic, leaderTopic } from '@millrace/worker'
import type { Definitions } from './definitions.ts'
import { topicsOf, topicsRead } from './describe-app.ts'
import { agentOf, groupReads, type GroupReads } from './group-reads.ts'

export type TopicDefinitions = Pick<Definitions, 'topics' | 'agents' | 'tables' | 'globalTables'>

/** What a topic is to the app. */
export type Part = Pick<AppTopic, 'role' | 'owner' | 'internal'>

/** What the broker has, as far as it counts for which topics are the app's. */
export interface TopicsThere {
  /** Names of all its topics. */
  readonly existing: readonly string[]
  /** What the app's group has committed. */
  readonly reads: GroupReads
}

/** The topics that the app uses or has made and that are there, each with what it is to the app. */
export function partsOfTopics(
  appId: string,
  definitions: TopicDefinitions,
  { existing, reads }: TopicsThere,
): ReadonlyMap<string, Part> {
  const { agents, tables, globalTables } = definitions
  const there = new Set(existing)
  const parts = new Map<string, Part>()
  const made = (role: TopicRole, name: string, owner?: string): unknown =>
    parts.set(name, { role, owner, internal: true })
  made('replies', `${appId}-replies`)
  made('replays', replayLedgerTopic(appId))
  made('scheduler', schedulerTopic(appId))
  made('leader', leaderTopic(appId))
  made('dead letters', brokenBatchesTopic(appId))
  for (const { name, changelog } of tables.values()) made('changelog', changelog.topic, name)
  for (const { name, source } of globalTables.values())
    parts.set(source.name, { role: 'global', owner: name, internal: source.internal })
  for (const agent of agents.keys()) made('dead letters', deadLetterTopic(appId, agent), agent)
  for (const [name, part] of repartitionTopics(appId, agents.keys(), { existing, reads })) parts.set(name, part)
  // The app file has the last word: a topic that it names is its own, whatever the name looks like.
  for (const [name, part] of namedTopics(appId, definitions, reads)) parts.set(name, part)
  return new Map([...parts].filter(([name]) => there.has(name)))
}

/**
 * Repartition topics, and what looks like one. Names alone prove nothing: agent `eu` of app `shop` and app `shop-eu` may
 * make names that begin alike. A commit of the group that names the very subscription which reads the topic does.
 */
function repartitionTopics(
  appId: string,
  agents: Iterable<string>,
  { existing, reads }: TopicsThere,
): ReadonlyMap<string, Part> {
  const names = [...agents]
  const parts = new Map<string, Part>()
  for (const topic of existing) {
    const ids = reads.get(topic)
    const own = [...(ids ?? [])].find((id) => repartitionTopic(appId, id) === topic)
    if (own !== undefined) parts.set(topic, { role: 'repartition', owner: agentOf(own, names) ?? own, internal: true })
    // A group that goes on without a commit in the topic does not read it; of one without any commit nothing is known.
    else if (ids !== undefined || reads.size === 0) {
      const agent = names.find((name) => topic.startsWith(`${appId}-${name}-`) && topic.endsWith('-repartition'))
      if (agent !== undefined) parts.set(topic, { role: 'lookalike', owner: undefined, internal: false })
    }
  }
  return parts
}

/** Topics that the app file names, or that agents own. */
function namedTopics(appId: string, definitions: TopicDefinitions, reads: GroupReads): ReadonlyMap<string, Part> {
  const { topics, agents, globalTables } = definitions
  const read = new Set([...agents.values()].flatMap(topicsRead))
  const written = new Set([...agents.values()].flatMap(({ shape }) => shape.sinkTopics.map(({ name }) => name)))
  const globals = new Set([...globalTables.values()].map(({ source }) => source.name))
  const ownerOf = new Map([...agents.keys()].map((agent) => [`${appId}-${agent}`, agent]))
  const isMerged = (agent: string, topic: string): boolean =>
    reads.get(topic)?.has(mergedSubscription(agent, topic)) === true
  const parts = new Map<string, Part>()
  for (const { name } of topicsOf(definitions)) {
    const owner = topics.has(name) ? undefined : ownerOf.get(name)
    const isRead = read.has(name) || [...agents.keys()].some((agent) => isMerged(agent, name))
    if (globals.has(name) && !isRead) continue
    const role = !isRead ? 'output' : written.has(name) ? 'between' : owner === undefined ? 'source' : 'inbox'
    parts.set(name, { role, owner, internal: owner !== undefined })
  }
  return parts
}

/** The app's topics as they are on the broker, sorted by name. */
export async function appTopics(
  admin: Pick<Admin, 'topics' | 'topicSettings' | 'committed'>,
  appId: string,
  definitions: TopicDefinitions,
): Promise<readonly AppTopic[]> {
  const [existing, committed] = await Promise.all([admin.topics(), admin.committed(appId)])
  const parts = partsOfTopics(appId, definitions, {
    existing: existing.map(({ name }) => name),
    reads: groupReads(committed),
  })
  const settings = await settingsOf(admin, [...parts.keys()])
  return existing
    .flatMap((info) => {
      const part = parts.get(info.name)
      return part === undefined ? [] : [{ ...info, ...part, settings: settings.get(info.name) }]
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** As far as this client may see them: the right to is one of its own, and one that is missing says nothing about the others. */
async function settingsOf(
  admin: Pick<Admin, 'topicSettings'>,
  names: readonly string[],
): Promise<ReadonlyMap<string, TopicSettings>> {
  const ask = async (some: readonly string[]): Promise<readonly TopicSettings[]> => {
    try {
      return await admin.topicSettings(some)
    } catch (error) {
      if (!isMillraceError(error, 'NOT_AUTHORIZED')) throw error
      const halves = [some.slice(0, some.length >> 1), some.slice(some.length >> 1)]
      return some.length <= 1 ? [] : (await Promise.all(halves.map(ask))).flat()
    }
  }
  return new Map((await ask(names)).map((settings) => [settings.name, settings]))
}
