import {
  type CommitOffset,
  deadLetterTopic,
  isMillraceError,
  mergedSubscription,
  repartitionTopic,
  replayLedgerTopic,
  repliesTopic,
  schedulerTopic,
} from '@millrace/core'
import type { Admin, TopicSettings } from '@millrace/core/driver'
import type { AppTopic, TopicRole } from '@millrace/core/operations'
import {
  ANY_SUBSCRIPTION,
  brokenBatchesTopic,
  committedSends,
  committedStates,
  decodeCommitMetadata,
  leaderTopic,
  parseSend,
  progressTopic,
} from '@millrace/worker'
import { committedOffsets } from './committed.ts'
import type { Connection, DeclaredAgent, DeclaredApp } from './declared-app.ts'

/** A topic's role in the app. */
export type TopicPart = Pick<AppTopic, 'role' | 'owner' | 'internal'>

/** What the broker knows that identifies the app's topics. */
export interface TopicsThere {
  /** Names of all topics of the broker. */
  readonly existing: readonly string[]
  /** What the app's group has committed. */
  readonly reads: GroupReads
  /** States that its commits name. Those of operators and retries are unknown until their agents run. Default: none. */
  readonly states?: Iterable<string>
}

/** The existing topics that the app uses or has created, each with its role in the app. */
export function partsOfTopics(
  appId: string,
  declared: DeclaredApp,
  { existing, reads, states = [] }: TopicsThere,
): ReadonlyMap<string, TopicPart> {
  const agents = declared.agents().map(({ name }) => name)
  const there = new Set(existing)
  const parts = new Map<string, TopicPart>()
  const made = (role: TopicRole, name: string, owner?: string): unknown =>
    parts.set(name, { role, owner, internal: true })
  made('replies', repliesTopic(appId))
  made('replays', replayLedgerTopic(appId))
  made('scheduler', schedulerTopic(appId))
  made('progress', progressTopic(appId))
  made('leader', leaderTopic(appId))
  made('dead letters', brokenBatchesTopic(appId))
  for (const state of states) made('changelog', `${appId}-${state}-changelog`, state)
  for (const { kind, table } of declared.tables())
    if (kind === 'global')
      parts.set(table.source.name, { role: 'global', owner: table.name, internal: table.source.internal })
    else made('changelog', table.changelog.topic, table.name)
  for (const agent of agents) made('dead letters', deadLetterTopic(appId, agent), agent)
  for (const [name, part] of repartitionTopics(appId, agents, { existing, reads })) parts.set(name, part)
  // The app file decides: a topic that it names is the app's own, whatever its name.
  for (const [name, part] of namedTopics(declared, reads)) parts.set(name, part)
  return new Map([...parts].filter(([name]) => there.has(name)))
}

/**
 * Repartition topics, and topics with such names. A name alone proves nothing: agent `eu` of app `shop` and app
 * `shop-eu` may create names with the same prefix. A commit of the group proves it by naming the subscription that
 * reads the topic.
 */
function repartitionTopics(
  appId: string,
  names: readonly string[],
  { existing, reads }: TopicsThere,
): ReadonlyMap<string, TopicPart> {
  const parts = new Map<string, TopicPart>()
  for (const topic of existing) {
    const ids = reads.get(topic)
    const own = [...(ids ?? [])].find((id) => repartitionTopic(appId, id) === topic)
    if (own !== undefined) parts.set(topic, { role: 'repartition', owner: agentOf(own, names) ?? own, internal: true })
    // A group that has commits, but none in the topic, does not read it. Without any commit, nothing is known.
    else if (ids !== undefined || reads.size === 0) {
      const agent = names.find((name) => topic.startsWith(`${appId}-${name}-`) && topic.endsWith('-repartition'))
      if (agent !== undefined) parts.set(topic, { role: 'lookalike', owner: undefined, internal: false })
    }
  }
  return parts
}

/** Topics named by the app file or owned by agents. */
function namedTopics(declared: DeclaredApp, reads: GroupReads): ReadonlyMap<string, TopicPart> {
  const agents = declared.agents()
  const read = new Set(agents.flatMap(({ topics }) => topics))
  const written = new Set(agents.flatMap(({ sinks }) => sinks))
  const globals = new Set(
    declared.tables().flatMap(({ kind, table }) => (kind === 'global' ? [table.source.name] : [])),
  )
  const ownerOf = new Map(agents.flatMap(({ name, inbox, ownsInbox }) => (ownsInbox ? [[inbox?.name, name]] : [])))
  const isMerged = (agent: string, topic: string): boolean =>
    reads.get(topic)?.has(mergedSubscription(agent, topic)) === true
  const parts = new Map<string, TopicPart>()
  for (const { name } of declared.topics()) {
    const owner = ownerOf.get(name)
    const isRead = read.has(name) || agents.some((agent) => isMerged(agent.name, name))
    if (globals.has(name) && !isRead) continue
    const role = !isRead ? 'output' : written.has(name) ? 'between' : owner === undefined ? 'source' : 'inbox'
    parts.set(name, { role, owner, internal: owner !== undefined })
  }
  return parts
}

/** The app's topics as they are on the broker, sorted by name. */
export async function appTopics(connection: Connection): Promise<readonly AppTopic[]> {
  const { admin, app } = connection
  const { declared, surroundings } = app
  const appId = surroundings.settings.id
  const [existing, committed] = await Promise.all([admin.topics(), committedOffsets(connection)])
  const parts = partsOfTopics(appId, declared, {
    existing: existing.map(({ name }) => name),
    reads: groupReads(committed),
    states: committed.flatMap(({ metadata }) => [...committedStates(metadata)]),
  })
  const settings = await settingsOf(admin, [...parts.keys()])
  const senders = sendersOf(
    committed,
    declared.agents().map(({ name }) => name),
  )
  return existing
    .flatMap((info) => {
      const part = parts.get(info.name)
      return part === undefined
        ? []
        : [{ ...info, ...part, settings: settings.get(info.name), sentBy: senders.get(info.name) ?? [] }]
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** Limited to what this client may see: reading settings needs a permission for each topic. */
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

/**
 * The topics where a group has committed offsets, each with the ids of the subscriptions that read it. The topics read
 * by a handler's steps (`groupBy`, `through`, `merge`) are unknown until it runs. But the group commits in each of them
 * before it handles anything, and its commits name the subscriptions. Offsets set by hand name none.
 */
export type GroupReads = ReadonlyMap<string, ReadonlySet<string>>

/** Extracts them from all commits of the group. */
export function groupReads(committed: readonly CommitOffset[]): GroupReads {
  const reads = new Map<string, Set<string>>()
  for (const one of committed) {
    const { topic } = one
    const ids = reads.get(topic) ?? new Set()
    for (const id of decodeCommitMetadata(one).keys()) if (id !== ANY_SUBSCRIPTION) ids.add(id)
    reads.set(topic, ids)
  }
  return reads
}

/** The agents observed to send to a topic. Agents that the app no longer has are left out. */
export function sendersOf(
  committed: readonly Pick<CommitOffset, 'metadata'>[],
  agents: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const senders = new Map<string, string[]>()
  for (const text of new Set(committed.flatMap(({ metadata }) => [...committedSends(metadata)]))) {
    const send = parseSend(text)
    if (send !== undefined && agents.includes(send.agent))
      senders.set(send.topic, [...(senders.get(send.topic) ?? []), send.agent].toSorted())
  }
  return senders
}

/** The agent that a subscription belongs to; `undefined` if it belongs to none of these. */
export function agentOf(subscriptionId: string, agents: Iterable<string>): string | undefined {
  let found: string | undefined
  for (const agent of agents) {
    const isOf = subscriptionId === agent || subscriptionId.startsWith(`${agent}-`)
    // Prefer the longer name of `eu` and `eu-west`.
    if (isOf && agent.length > (found?.length ?? -1)) found = agent
  }
  return found
}

/**
 * The topics that an agent reads: those declared, and those of its steps (`groupBy`, `through`, `merge`) where the
 * group has committed.
 */
export function topicsReadBy(
  agent: string,
  agents: readonly Pick<DeclaredAgent, 'name' | 'topics'>[],
  reads: GroupReads,
): ReadonlySet<string> {
  const names = agents.map(({ name }) => name)
  const declared = agents.find(({ name }) => name === agent)?.topics ?? []
  const ofSteps = [...reads].flatMap(([topic, ids]) =>
    [...ids].some((id) => id !== agent && agentOf(id, names) === agent) ? [topic] : [],
  )
  return new Set([...declared, ...ofSteps])
}
