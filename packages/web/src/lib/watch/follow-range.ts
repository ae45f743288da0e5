import { jsonText } from '@millrace/core'
import { PageError, unavailable } from '../pages/page-error.ts'
import { ownersOf } from '../routing/locate.ts'
import type { PartitionedTable, RangeChange, SiteTable, TextRange } from '../site-app.ts'
import { hashOf } from './follow-key.ts'
import { followed, type Followed, type FollowTools, peerEvents, within } from './follow.ts'
import { type FromSource, merged } from './merged.ts'
import { eventText, idText, type ServerEvent } from '@millrace/core/http'

/** Which rows are watched. */
export type WatchedRange = Pick<TextRange, 'prefix' | 'from' | 'to'>

export interface FollowedRange extends Followed {
  readonly range: WatchedRange
}

/** What one worker says of a range. The first is `state`, with the partitions that the worker has. */
type Said = RangeChange & { readonly partitions?: readonly number[] }

/**
 * The committed rows of a range on all workers and what becomes of them, as the text of server-sent events: `state`, then
 * `value` for each row, then `ready`; then `value` and `delete`. The rows come again when a partition moves, unless nothing
 * has changed. An id says how far the commits have come: a client with the id of now gets the changes alone.
 */
export function followRange(tools: FollowTools, table: PartitionedTable, asked: FollowedRange): AsyncGenerator<string> {
  const view = new RangeView(asked.lastId)
  return followed(tools, asked, async function* (signal) {
    const count = tools.workers.within(asked.worker, () => asked.worker.context.partitionsOf(table))
    if (count === undefined) throw unavailable(`The partitions of table "${table.name}" are not known yet.`)
    const all = Array.from({ length: count }, (_, partition) => partition)
    const local = tools.workers.all().map((worker) => rangeHere(tools, table, { ...asked, worker, signal }))
    const here = new Set(tools.workers.all().flatMap(({ context }) => [...context.openStates(table).keys()]))
    const elsewhere = all.filter((partition) => !here.has(partition))
    const owners = ownersOf(asked.worker, count, elsewhere)
    const remote = owners.map((owner) => {
      const path = `/table/${encodeURIComponent(table.name)}/watch?${queryOf(asked.range)}`
      return changesIn(peerEvents(tools, { ...owner, worker: asked.worker, path, signal }))
    })
    yield* view.texts([...local, ...remote], (found) => {
      const missing = all.filter((partition) => !found.has(partition))
      if (missing.length > 0)
        throw unavailable(`No worker answers for partition ${missing.join(', ')} of table "${table.name}".`)
    })
  })
}

/** As `followRange`, of a table that every worker has whole. */
export function followWhole(tools: FollowTools, table: SiteTable, asked: FollowedRange): AsyncGenerator<string> {
  const view = new RangeView(asked.lastId)
  return followed(tools, asked, (signal) =>
    view.texts([within(tools.workers, asked.worker, () => rangeChanges(table, asked.range, signal))], () => {}),
  )
}

/** What one worker has of a range, for another one that asks all of them. */
export async function* textsHere(
  tools: FollowTools,
  table: PartitionedTable,
  asked: Pick<FollowedRange, 'worker' | 'range' | 'signal'>,
): AsyncGenerator<string> {
  for await (const change of rangeHere(tools, table, asked))
    yield eventText({ event: change.type, data: jsonText(change), id: undefined })
}

async function* rangeHere(
  { workers }: FollowTools,
  table: PartitionedTable,
  { worker, range, signal }: Pick<FollowedRange, 'worker' | 'range' | 'signal'>,
): AsyncGenerator<Said> {
  const partitions = [...worker.context.openStates(table).keys()]
  for await (const change of within(workers, worker, () => rangeChanges(table, range, signal)))
    yield change.type === 'state' ? { ...change, partitions } : change
}

/** Throws a `PageError` 400, and `RANGE_UNORDERED` for a table whose keys are not text. */
export function rangeChanges(table: SiteTable, range: WatchedRange, signal?: AbortSignal): AsyncIterable<RangeChange> {
  if (table.watchTextRange === undefined)
    throw new PageError(400, `Rows of table "${table.name}" cannot be watched by ranges: watch its keys.`)
  return table.watchTextRange(range, { signal })
}

/** What a client has been shown of a range. */
class RangeView {
  /** The id of what the client has; `undefined` while it has only some of it. */
  #shown: string | undefined

  constructor(lastId: string | undefined) {
    this.#shown = lastId
  }

  /** Ends when a source does, or when one has missed changes. `check` gets the partitions that they have. */
  async *texts(
    sources: readonly AsyncGenerator<Said>[],
    check: (partitions: ReadonlySet<number>) => void,
  ): AsyncGenerator<string> {
    try {
      const heads = await Promise.all(sources.map((source) => headOf(source)))
      check(new Set(heads.flatMap(({ partitions = [] }) => partitions)))
      yield* this.#texts(
        merged(sources),
        heads.map(({ at }) => at),
      )
    } finally {
      for (const source of sources) source.return(undefined).catch(ignore)
    }
  }

  async *#texts(changes: AsyncIterable<FromSource<Said>>, heads: readonly string[]): AsyncGenerator<string> {
    const isKnown = this.#shown === idOf(heads)
    if (!isKnown) {
      this.#shown = undefined
      yield eventText({ event: 'state', data: '{}', id: undefined })
    }
    /** Sources whose rows have all come. */
    const complete = new Set<number>()
    /** How far the commits have come of which everything was shown, by source. */
    const at = new Map<number, string>()
    for await (const { from, item } of changes) {
      // It has missed changes, and reads its rows again: so must the others.
      if (item.type === 'state') return
      if (item.type !== 'ready') {
        at.delete(from)
        if (isKnown && !complete.has(from)) continue
        this.#shown = undefined
        const { type, ...row } = item
        yield eventText({ event: type, data: jsonText(row), id: undefined })
        continue
      }
      const isFirst = complete.size < heads.length
      complete.add(from)
      at.set(from, item.at)
      if (at.size < heads.length) continue
      const id = idOf([...at.values()])
      this.#shown = id
      yield isFirst && !isKnown ? eventText({ event: 'ready', data: '{}', id }) : idText(id)
    }
  }
}

async function headOf(source: AsyncGenerator<Said>): Promise<Said & { readonly type: 'state' }> {
  const { done, value } = await source.next()
  if (done === true || value.type !== 'state') throw unavailable('A worker has no state of the range.')
  return value
}

/** The same for the same commits, whichever worker has which partition. */
function idOf(heads: readonly string[]): string {
  return hashOf(
    heads
      .flatMap((at) => at.split(' '))
      .toSorted()
      .join(' '),
  )
}

function queryOf({ prefix, from, to }: WatchedRange): string {
  const query = new URLSearchParams({ here: '1' })
  for (const [name, text] of Object.entries({ prefix, from, to })) if (text !== undefined) query.set(name, text)
  return query.toString()
}

/** Another release may say something else: that is passed over. */
async function* changesIn(events: AsyncIterable<ServerEvent>): AsyncGenerator<Said> {
  for await (const { data } of events) {
    const said: unknown = JSON.parse(data)
    if (isSaid(said)) yield said
  }
}

function isSaid(given: unknown): given is Said {
  if (typeof given !== 'object' || given === null || !('type' in given)) return false
  const { type } = given
  if (type === 'state' || type === 'ready') return 'at' in given && typeof given.at === 'string'
  return (type === 'value' || type === 'delete') && 'key' in given && typeof given.key === 'string'
}

function ignore(): void {}
