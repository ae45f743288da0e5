import { createHash } from 'node:crypto'
import { jsonText } from '@millrace/core'
import { PageError } from '../pages/page-error.ts'
import type { AskedWindows, PartitionedTable, SiteTable } from '../site-app.ts'
import { followed, type Followed, type FollowTools, peerEvents, within } from './follow.ts'
import { eventText, type ServerEvent } from '@millrace/core/http'

export interface FollowedKey extends Followed {
  /** The key as text. */
  readonly text: string
  readonly windows: AskedWindows
}

/**
 * A key's committed value and what becomes of it, as the text of server-sent events: `value`, or `delete` where there is
 * none. The id says which value it is, so that a client with that id is told of another one only.
 */
export function followKey(tools: FollowTools, table: PartitionedTable, asked: FollowedKey): AsyncGenerator<string> {
  const key = table.parseKey(asked.text)
  const { c, worker } = asked
  return followed(
    tools,
    asked,
    newTexts(asked.lastId, (signal) => {
      const found = tools.workers.within(worker, () => tools.route.find({ table, c }, key))
      if ('here' in found) return within(tools.workers, found.here, () => keyEvents(table, { ...asked, signal }))
      const { address, location } = found
      return peerEvents(tools, { worker, member: location.member, address, path: pathOf(table, asked), signal })
    }),
  )
}

/** As `followKey`, of a table that every worker has whole. */
export function followWholeKey(tools: FollowTools, table: SiteTable, asked: FollowedKey): AsyncGenerator<string> {
  return followed(
    tools,
    asked,
    newTexts(asked.lastId, (signal) =>
      within(tools.workers, asked.worker, () => keyEvents(table, { ...asked, signal })),
    ),
  )
}

/** What the worker that has a key tells another one, until it loses the key. */
export async function* keyHere(
  { workers }: FollowTools,
  table: SiteTable,
  asked: Pick<FollowedKey, 'text' | 'windows' | 'signal' | 'worker'>,
): AsyncGenerator<string> {
  for await (const event of within(workers, asked.worker, () => keyEvents(table, asked))) yield eventText(event)
}

/** Passes over events that the client has, whichever attempt they come from. */
function newTexts(
  lastId: string | undefined,
  events: (signal: AbortSignal) => AsyncIterable<ServerEvent>,
): (signal: AbortSignal) => AsyncGenerator<string> {
  let shown = lastId
  return async function* (signal) {
    for await (const event of events(signal)) {
      if (event.id === shown) continue
      shown = event.id
      yield eventText(event)
    }
  }
}

/** Begins with the call. Throws a `PageError` 400 for a table that cannot be watched. */
function keyEvents(
  table: SiteTable,
  { text, windows, signal }: Pick<FollowedKey, 'text' | 'windows' | 'signal'>,
): AsyncGenerator<ServerEvent> {
  if (table.watchText === undefined) throw new PageError(400, `Table "${table.name}" cannot be watched.`)
  return asEvents(text, table.watchText(text, { ...windows, signal }))
}

async function* asEvents(key: string, values: AsyncIterable<unknown>): AsyncGenerator<ServerEvent> {
  for await (const value of values) {
    const data = jsonText(value === undefined ? { key } : { key, value })
    yield { event: value === undefined ? 'delete' : 'value', data, id: hashOf(data) }
  }
}

/** The key is in the query: some keys cannot be part of a path. */
function pathOf({ name }: PartitionedTable, { text, windows }: FollowedKey): string {
  const query = new URLSearchParams({ key: text })
  for (const [parameter, time] of Object.entries(windows)) if (time !== undefined) query.set(parameter, String(time))
  query.set('here', '1')
  return `/table/${encodeURIComponent(name)}/watch?${query.toString()}`
}

/** A short text that is different for different texts. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}
