import { MillraceError } from '@millrace/core'
import type { PageContext } from '../pages/page-context.ts'
import { unavailable } from '../pages/page-error.ts'
import { followKey, followWholeKey, keyHere } from '../watch/follow-key.ts'
import { followRange, followWhole, rangeChanges, textsHere, type WatchedRange } from '../watch/follow-range.ts'
import type { Followed } from '../watch/follow.ts'
import { readLevel } from './read-options.ts'
import type { BuiltInPages, BuiltInTools } from './site-tools.ts'
import { type AskedKey, askedKey, askedWindows, partitionedTable } from './table-pages.ts'

/** Set by a worker that asks another one: only for what this one has. */
const HERE = 'here'

/** Tables as they change, as server-sent events. */
export function watchPages(tools: BuiltInTools): BuiltInPages {
  return {
    '/table/:name/:key/watch/': {
      help: 'Server-sent events: the committed value of a key, then each one that a commit makes of it. `value` has `{ key, value }`, `delete` has `{ key }` where there is none. A client that is slow misses values, and never the newest. It follows the key when that moves to another worker. `Last-Event-ID` (or `?lastEventId=`): only what differs from that value. Of a windowed table its windows, or those of `?at=`, `?from=`, `?to=`. 503 when there are too many watches (`web.maxWatches`).',
      page: (c) => watchKey(tools, c, () => c.params['key'] ?? ''),
    },
    '/table/:name/watch/': {
      help: 'The same for all rows of a table whose keys are text, or with `?prefix=`, `?from=` and `?to=` for some, from all workers: `state`, then `value` for each row, then `ready`, which says that all have come; then the changes. `state` comes again when changes may have been missed: rows that are not repeated before `ready` are gone. `Last-Event-ID`: the changes alone, if there were none in between. With `?key=` or `?jsonKey=`: one key, as at `/table/{name}/`.',
      page: (c) => {
        const key = askedKey(c)
        return key === undefined ? watchRange(tools, c) : watchKey(tools, c, key)
      },
    },
  }
}

/** Throws a `PageError`, or `KEY_INVALID`. */
function watchKey(tools: BuiltInTools, c: PageContext, asked: AskedKey): Response {
  const name = c.params['name'] ?? ''
  const windows = askedWindows(c)
  const whole = tools.site.definitions.globalTables.get(name)
  if (whole !== undefined) {
    const text = asked(whole)
    return open(tools, c, (followed) => followWholeKey(tools, whole, { ...followed, text, windows }))
  }
  const table = partitionedTable(tools, name)
  const text = asked(table)
  const key = table.parseKey(text)
  if (!c.query.has(HERE)) return open(tools, c, (followed) => followKey(tools, table, { ...followed, text, windows }))
  const found = tools.route.find({ table, c }, key)
  if (!('here' in found)) throw unavailable(`The key is not on this worker.`)
  return open(tools, c, (followed) => keyHere(tools, table, { ...followed, worker: found.here, text, windows }))
}

/** Throws a `PageError`, or `RANGE_UNORDERED`. */
function watchRange(tools: BuiltInTools, c: PageContext): Response {
  const name = c.params['name'] ?? ''
  const [prefix, from, to] = ['prefix', 'from', 'to'].map((parameter) => c.query.get(parameter) ?? undefined)
  const range: WatchedRange = { prefix, from, to }
  const whole = tools.site.definitions.globalTables.get(name)
  const table = whole ?? partitionedTable(tools, name)
  // Nothing is read of it, but a range that makes no sense is refused now.
  rangeChanges(table, range)
  if (whole !== undefined) return open(tools, c, (asked) => followWhole(tools, whole, { ...asked, range }))
  const partitioned = partitionedTable(tools, name)
  const texts = c.query.has(HERE) ? textsHere : followRange
  return open(tools, c, (asked) => texts(tools, partitioned, { ...asked, range }))
}

/** Throws a `PageError` 503 when there are too many, and `READ_INVALID`. */
function open(tools: BuiltInTools, c: PageContext, texts: (asked: Followed) => AsyncGenerator<string>): Response {
  if (readLevel(c, 'committed') !== 'committed')
    throw new MillraceError('READ_INVALID', '?read=finished was given; watches show what is committed.')
  const worker = tools.workers.asked()
  const lastId = c.request.headers.get('last-event-id') ?? c.query.get('lastEventId') ?? undefined
  return tools.watches.open({
    worker,
    client: c.signal,
    isForwarded: c.forwardedBy?.as === 'worker',
    texts: (signal) => texts({ c, worker, signal, lastId }),
  })
}
