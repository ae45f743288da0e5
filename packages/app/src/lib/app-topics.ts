import { isMillraceError, type Admin, type AppTopic, type TopicRole, type TopicSettings } from '@millrace/core'
import { schedulerTopic } from '@millrace/scheduler'
import { deadLetterTopic, replayLedgerTopic } from '@millrace/streams'
import { leaderTopic } from '@millrace/worker'
import type { Definitions } from './definitions.ts'
import { describeAgent, topicsOf } from './describe-app.ts'

export type TopicDefinitions = Pick<Definitions, 'topics' | 'agents' | 'tables' | 'globalTables'>

/** What a topic is to the app. */
export type Part = Pick<AppTopic, 'role' | 'owner' | 'internal'>

/** Repartition topics of one agent among the topics of a broker: their names are known only once its handler has run. */
export function repartitionTopics(appId: string, agent: string, existing: Iterable<string>): readonly string[] {
  return [...existing].filter((name) => name.startsWith(`${appId}-${agent}-`) && name.endsWith('-repartition'))
}

/** The topics among `existing` that the app uses or has made, each with what it is to the app. */
export function partsOfTopics(
  appId: string,
  definitions: TopicDefinitions,
  existing: readonly string[],
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
  for (const { name, changelog } of tables.values()) made('changelog', changelog.topic, name)
  for (const { name, source } of globalTables.values())
    parts.set(source.name, { role: 'global', owner: name, internal: source.internal })
  for (const agent of agents.keys()) {
    made('dead letters', deadLetterTopic(appId, agent), agent)
    for (const name of repartitionTopics(appId, agent, existing)) made('repartition', name, agent)
  }
  // The app file has the last word: a topic that it names is its own, whatever the name looks like.
  for (const [name, part] of namedTopics(appId, definitions)) parts.set(name, part)
  return new Map([...parts].filter(([name]) => there.has(name)))
}

/** Topics that the app file names, or that agents own. */
function namedTopics(appId: string, definitions: TopicDefinitions): ReadonlyMap<string, Part> {
  const { topics, agents, globalTables } = definitions
  const read = new Set([...agents.values()].flatMap((agent) => describeAgent(agent).topics))
  const written = new Set([...agents.values()].flatMap(({ shape }) => shape.sinkTopics.map(({ name }) => name)))
  const globals = new Set([...globalTables.values()].map(({ source }) => source.name))
  const ownerOf = new Map([...agents.keys()].map((agent) => [`${appId}-${agent}`, agent]))
  const parts = new Map<string, Part>()
  for (const { name } of topicsOf(definitions)) {
    const owner = topics.has(name) ? undefined : ownerOf.get(name)
    const isRead = read.has(name)
    if (globals.has(name) && !isRead) continue
    const role = !isRead ? 'output' : written.has(name) ? 'between' : owner === undefined ? 'source' : 'inbox'
    parts.set(name, { role, owner, internal: owner !== undefined })
  }
  return parts
}

/** The app's topics as they are on the broker, sorted by name. */
export async function appTopics(
  admin: Pick<Admin, 'topics' | 'topicSettings'>,
  appId: string,
  definitions: TopicDefinitions,
): Promise<readonly AppTopic[]> {
  const existing = await admin.topics()
  const parts = partsOfTopics(
    appId,
    definitions,
    existing.map(({ name }) => name),
  )
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
