import {
  type Clock,
  didYouMean,
  MillraceError,
  partitionKey,
  partitionsOf,
  retryState,
  showBytes,
} from '@millrace/core'
import { type Admin, readToEnd, type TopicInfo, type Transport } from '@millrace/core/driver'
import type { AgentRetries, Retries, RetryListing, WaitingEventSummary } from '@millrace/core/operations'
import { changelogOf } from '@millrace/state'
import { decodeWaiting } from './waiting-event.ts'
import { isFirstRow } from './waiting-keys.ts'

export interface RetriesOptions {
  readonly appId: string
  /** In the order declared. */
  readonly agents: readonly { readonly name: string }[]
  readonly transport: Pick<Transport, 'reader'>
  readonly admin: Pick<Admin, 'topics'>
  readonly clock: Clock
}

/** Default number of events per agent in a listing. */
const NEXT = 10
/** Longest text of an event in a listing. */
const MOST_CHARACTERS = 1_000

/** What waits in the changelogs of an app; needs no worker. */
export function createRetries(options: RetriesOptions): Retries {
  return {
    async list(listing: RetryListing = {}): Promise<readonly AgentRetries[]> {
      const { agent, next = NEXT, signal } = listing
      const names = options.agents.map(({ name }) => name)
      if (agent !== undefined && !names.includes(agent))
        throw new MillraceError('AGENT_MISSING', `The app has no agent "${agent}".${didYouMean(agent, names)}`)
      const found: AgentRetries[] = []
      for (const [name, topics] of changelogsOf(options.appId, names, await options.admin.topics())) {
        if (agent !== undefined && agent !== name) continue
        const waiting = await waitingIn(topics, options, signal)
        const events = waiting.reduce((sum, { behind }) => sum + 1 + behind, 0)
        waiting.sort((a, b) => a.due - b.due)
        found.push({ agent: name, topics: topics.map((topic) => topic.name), events, next: waiting.slice(0, next) })
      }
      return found
    },
  }
}

/** The existing changelogs in which events of each agent wait. */
function changelogsOf(
  appId: string,
  agents: readonly string[],
  topics: readonly TopicInfo[],
): ReadonlyMap<string, readonly TopicInfo[]> {
  const found = new Map<string, TopicInfo[]>()
  const longestFirst = agents.toSorted((a, b) => b.length - a.length)
  for (const topic of topics) {
    const agent = longestFirst.find((name) => isOfAgent(topic.name, appId, name))
    if (agent !== undefined) found.set(agent, [...(found.get(agent) ?? []), topic])
  }
  return found
}

/** Whether a topic is the changelog of one of the agent's subscriptions, which begin with its name. */
function isOfAgent(topic: string, appId: string, agent: string): boolean {
  const { topic: own } = changelogOf(appId, retryState(agent))
  const { topic: ofStep } = changelogOf(appId, retryState(`${agent}-`))
  const end = ofStep.slice(`${appId}-${agent}-`.length)
  return topic === own || (topic.startsWith(`${appId}-${agent}-`) && topic.endsWith(end))
}

async function waitingIn(
  topics: readonly TopicInfo[],
  { transport, clock }: Pick<RetriesOptions, 'transport' | 'clock'>,
  signal: AbortSignal | undefined,
): Promise<WaitingEventSummary[]> {
  const rows = new Map<string, WaitingEventSummary>()
  const partitions = topics.flatMap(({ name, partitions: count }) => partitionsOf(name, count))
  const reader = transport.reader({ isolation: 'read-committed' })
  for await (const batch of readToEnd(reader, partitions, { clock, signal }))
    for (const { key, value } of batch.records) {
      if (key === null || !isFirstRow(key)) continue
      const row = `${partitionKey(batch)} ${key.toString('latin1')}`
      if (value === null) rows.delete(row)
      else rows.set(row, summaryOf(value, batch.topic))
    }
  return [...rows.values()]
}

function summaryOf(row: Buffer, changelog: string): WaitingEventSummary {
  const { topic, partition, offset, timestamp, key, at, attempts, behind, failures } = decodeWaiting(row, changelog)
  const last = failures?.[1]
  const shown = key === null ? null : shortened(String(showBytes(key, undefined).value))
  return {
    ...{ topic, partition, offset, timestamp, key: shown, due: at, attempts },
    behind: behind === undefined ? 0 : behind.next - behind.first,
    failure: last && { ...last, message: shortened(last.message) },
  }
}

/** Copies through bytes, because a slice would keep the whole text in memory. */
function shortened(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : Buffer.from(text.slice(0, MOST_CHARACTERS)).toString()
}
