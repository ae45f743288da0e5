import { isLocalBroker, isMillraceError, jsonText, shownHeaders } from '@millrace/core'
import type { ShownRecord, TopicDescription } from '@millrace/core/operations'
import {
  action,
  PageError,
  SharedLookups,
  type ActionRight,
  type BuiltInPages,
  type PageContext,
  type SiteTools,
  type TopicRecords,
} from '@millrace/web'

/** Records in one answer. */
const DEFAULT_RECORDS = 20
const MAX_RECORDS = 100
/** Records that may be read for one answer, from all partitions together, to find the newest. */
const MAX_READ = 10_000
/** Characters of keys, values and headers that may be read for one answer. */
const MAX_READ_CHARACTERS = 32 * 1024 * 1024
/**
 * Longest text of one key or value in an answer, the number of headers and their longest text, and the text of all
 * records.
 */
const MAX_VALUE_CHARACTERS = 8 * 1024
const MAX_HEADERS = 100
const MAX_HEADER_CHARACTERS = 1_000
const MAX_ANSWER_CHARACTERS = 512 * 1024
/** Reading stops after this time; the answer has the records read so far. */
const READ_LIMIT_MS = 5_000
/** Longest wait for a broker that does not answer, and how many topics are read at a time. */
const LOOKUP_LIMIT_MS = 10_000
const AT_A_TIME = 4

/** A record in an answer. */
interface Peek {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: unknown
  readonly value: unknown
  /** The key, value or headers were shortened. */
  readonly cut: boolean
  readonly headers: readonly (readonly [string, string | null])[]
}

/** The app's topics, their records, and a way to send a record during development. */
export function topicPages(deps: SiteTools): BuiltInPages {
  const { site, access } = deps
  const { clock } = site.surroundings
  const peeks = new SharedLookups<Peeks>({ clock, atATime: AT_A_TIME, limitMs: LOOKUP_LIMIT_MS })
  const topic = (c: PageContext): TopicDescription => {
    const name = c.params['name'] ?? ''
    const found = site.describe().topics.find((each) => each.name === name)
    if (found === undefined) throw new PageError(404, `The app declares no topic "${name}".`)
    return found
  }
  return {
    '/topics/': {
      help: 'The app’s declared topics, with their codecs and whether records can be sent to them from here.',
      page: (c) => c.json({ topics: site.describe().topics, send: maySend(access.mayAct(c), site.describe().broker) }),
    },
    '/topics/:name/records/': {
      help: 'The newest records of a topic, decoded as the app declares: `?last=` many (default 20, at most 100); reads for at most 5 s. 403 unless the caller may act.',
      page: async (c) => {
        const { name } = topic(c)
        const may = access.mayAct(c)
        if (!may.on) throw new PageError(403, may.reason)
        const last = howMany(c.query.get('last'))
        const found = await peeks.get(`${last} ${name}`, (signal) => newest(deps, { name, last, signal }), c.signal)
        return c.json(found, { headers: { 'cache-control': 'no-store' } })
      },
    },
    '/topics/:name/send/': {
      help: 'Sends `{ "key": "a", "value": … }` to a topic of the embedded broker, checked against the topic’s declaration; 400 names the `field` that is wrong. The key is text, as on the command line; a value of `null` is a tombstone.',
      page: action(deps, async (c) => {
        const { name } = topic(c)
        const may = maySend(access.mayAct(c), site.describe().broker)
        if (!may.on) throw new PageError(403, may.reason)
        const record = readRecord(await c.readJson())
        try {
          const { partition, offset } = await recordsOf(deps).sendValue(name, record)
          return c.json({ topic: name, partition, offset })
        } catch (error) {
          if (isMillraceError(error, 'KEY_INVALID')) return c.error(400, error.detail, { field: 'key' })
          if (isMillraceError(error, 'SCHEMA_MISMATCH', 'ENCODE_FAILED', 'RECORD_TOO_LARGE'))
            return c.error(400, error.detail, { field: 'value' })
          throw error
        }
      }),
    },
  }
}

/** Records are typed in only during development, never on a shared broker. */
function maySend(admin: ActionRight, broker: string): ActionRight {
  if (!isLocalBroker(broker))
    return { on: false, reason: 'Records are sent from here to the embedded broker only; use millrace send.' }
  return admin
}

interface Wanted {
  readonly name: string
  readonly last: number
  readonly signal: AbortSignal
}

interface Peeks {
  readonly records: readonly Peek[]
  readonly complete: boolean
}

/** Sorts by time, newest first. */
async function newest(deps: SiteTools, { name, last, signal }: Wanted): Promise<Peeks> {
  const records = recordsOf(deps)
  const late = new AbortController()
  const timer = deps.site.surroundings.clock.schedule(READ_LIMIT_MS, () => late.abort())
  const kept: Peek[] = []
  let read = 0
  let readCharacters = 0
  let complete = true
  try {
    for await (const record of records.records(name, {
      from: { last },
      follow: false,
      signal: AbortSignal.any([signal, late.signal]),
    })) {
      const { peek, characters } = peekOf(record)
      kept.push(peek)
      if (kept.length >= 2 * MAX_RECORDS) kept.sort(byAge).splice(last)
      readCharacters += characters
      if (++read < MAX_READ && readCharacters < MAX_READ_CHARACTERS) continue
      complete = false
      break
    }
  } catch (error) {
    if (!late.signal.aborted) throw error
    complete = false
  } finally {
    timer.cancel()
  }
  const shown: Peek[] = []
  let characters = 0
  for (const record of kept.sort(byAge).slice(0, last)) {
    characters += jsonText(record).length
    if (characters > MAX_ANSWER_CHARACTERS) return { records: shown, complete: false }
    shown.push(record)
  }
  return { records: shown, complete }
}

function recordsOf({ site }: SiteTools): TopicRecords {
  if (site.client === undefined) throw new PageError(404, 'This site has no connection to read and send records with.')
  return site.client
}

function byAge(a: Peek, b: Peek): number {
  return b.timestamp - a.timestamp || b.offset - a.offset
}

/** The record as shown, and the length of its text. */
function peekOf({ partition, offset, timestamp, key, value, headers }: ShownRecord): {
  readonly peek: Peek
  readonly characters: number
} {
  const [shownKey, shownValue] = [shorten(key.value), shorten(value.value)]
  const headerBytes = headers.map(([name, bytes]) => name.length + (bytes?.length ?? 0))
  const isCut = shownKey.cut || shownValue.cut || headers.length > MAX_HEADERS
  return {
    peek: {
      partition,
      offset,
      timestamp,
      key: shownKey.value,
      value: shownValue.value,
      cut: isCut || headerBytes.some((bytes) => bytes > MAX_HEADER_CHARACTERS),
      headers: shownHeaders(headers.slice(0, MAX_HEADERS)).map(([name, text]) => [
        firstOf(name),
        text === null ? null : firstOf(text),
      ]),
    },
    characters: shownKey.characters + shownValue.characters + headerBytes.reduce((sum, bytes) => sum + bytes, 0),
  }
}

/** A key or value, whole or shortened to the beginning of its text. */
function shorten(value: unknown): { readonly value: unknown; readonly cut: boolean; readonly characters: number } {
  const text = typeof value === 'string' ? value : jsonText(value)
  const { length: characters } = text
  const cut = characters > MAX_VALUE_CHARACTERS
  return { value: cut ? text.slice(0, MAX_VALUE_CHARACTERS) : value, cut, characters }
}

function firstOf(text: string): string {
  return text.slice(0, MAX_HEADER_CHARACTERS)
}

function howMany(text: string | null): number {
  if (text === null) return DEFAULT_RECORDS
  const last = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (last >= 1 && last <= MAX_RECORDS) return last
  throw new PageError(400, `last is a whole number from 1 to ${MAX_RECORDS}.`)
}

function readRecord(body: unknown): { readonly key: string | undefined; readonly value: unknown } {
  if (typeof body === 'object' && body !== null && 'value' in body) {
    const key = 'key' in body && body.key !== null ? body.key : undefined
    if (key === undefined || typeof key === 'string') return { key, value: body.value }
  }
  throw new PageError(400, 'Say what to send: { "key": "text, or left out", "value": … }.')
}
