import { follow } from './follow.ts'
import { HttpClientError } from './http-client-error.ts'
import type { JsonOf, SentAsJson } from './json.ts'
import type { CallOptions } from './options.ts'
import type { Requests } from './requests.ts'

/** How to read a key. */
export interface ReadKeyOptions extends CallOptions {
  /**
   * As of the last finished event, which may not be committed yet (the default); as of the last commit; or what a warm copy has
   * of that, so that a key can be read while the worker that has it is away.
   */
  readonly read?: 'finished' | 'committed' | 'standby' | undefined
  /** With `read: 'standby'`: how many changelog offsets the copy may lack. */
  readonly maxLag?: number | undefined
  /** Once this event is finished, or committed: what `metadata()` of a send gives. */
  readonly after?: { readonly topic: string; readonly partition: number; readonly offset: number } | undefined
}

/** How to list rows. */
export interface ListOptions extends CallOptions {
  /** Default `'finished'`. */
  readonly read?: 'finished' | 'committed' | undefined
  /** Rows in one request, 1 to 1,000. Default 500. */
  readonly pageSize?: number | undefined
  /** Take the other rows if no worker answers for a partition; `pages` names it. Default: an error. */
  readonly partial?: boolean | undefined
}

/** Which rows to list. */
export interface ListRangeOptions extends ListOptions {
  /** The first key, included. */
  readonly from?: string | undefined
  /** The end, excluded. */
  readonly to?: string | undefined
  /** From the end of the range down to its start. Default false. */
  readonly reverse?: boolean | undefined
  /** The most rows. Default: all. */
  readonly limit?: number | undefined
}

/** How to list rows by pages. */
export interface PageOptions extends ListRangeOptions {
  /** Rows whose keys begin with this text. */
  readonly prefix?: string | undefined
}

/** One answer to a listing. */
export interface RowsPage<K, V> {
  readonly rows: readonly (readonly [key: K, value: V])[]
  /** Partitions for which no worker answers; empty without `partial`. */
  readonly missing: readonly number[]
}

/** Options of a watch. */
export interface WatchCallOptions {
  /** Ends the watch, which rejects with the signal's reason. Leaving the loop ends it, too. */
  readonly signal?: AbortSignal | undefined
}

/** Which rows to watch. */
export interface WatchRangeCallOptions extends WatchCallOptions {
  readonly prefix?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/**
 * What a watch of many rows gives. `state`: all rows follow, and those that are not among them before `ready` are gone; it
 * comes first, and again whenever changes may have been missed.
 */
export type WatchedChange<V> =
  | { readonly type: 'state' }
  | { readonly type: 'value'; readonly key: string; readonly value: V }
  | { readonly type: 'delete'; readonly key: string }
  | { readonly type: 'ready' }

/** A table of the app. Each worker answers for all of it. */
export interface TableClient<K, V, G> {
  /**
   * The value of a key, or the table's default, or `undefined`.
   *
   * @throws `HttpClientError`, or the signal's reason
   * @example
   * await client.table('counts').get('milk')
   */
  get(key: SentAsJson<K>, options?: ReadKeyOptions): Promise<JsonOf<G>>
  /**
   * All rows of all workers, a page at a time, in byte order of their keys. Rows may change meanwhile: each comes at most once.
   *
   * @throws `PARTITIONS_MISSING`, whose `missing` names them, if no worker answers for some partitions and `partial` is off;
   * otherwise as `get`
   * @example
   * for await (const [word, count] of client.table('counts').entries()) console.log(word, count)
   */
  entries(options?: ListOptions): AsyncGenerator<readonly [key: JsonOf<K>, value: JsonOf<V>], void, undefined>
  /** The keys of `entries`. */
  keys(options?: ListOptions): AsyncGenerator<JsonOf<K>, void, undefined>
  /** The values of `entries`. */
  values(options?: ListOptions): AsyncGenerator<JsonOf<V>, void, undefined>
  /**
   * The pages of `entries`, with the partitions that are missing.
   *
   * @example
   * for await (const { rows, missing } of client.table('counts').pages({ partial: true })) show(rows, missing)
   */
  pages(options?: ListOptions): AsyncGenerator<RowsPage<JsonOf<K>, JsonOf<V>>, void, undefined>
  /**
   * The committed value of a key, and its value after each commit that writes it; `undefined` where it has none. It goes on over
   * restarts of workers and broken connections. A slow reader gets the newest value, and misses those between.
   *
   * @throws `HttpClientError` for what another attempt would not change, or the signal's reason
   * @example
   * for await (const count of client.table('counts').watch('milk', { signal })) screen.show(count)
   */
  watch(key: SentAsJson<K>, options?: WatchCallOptions): AsyncGenerator<JsonOf<V> | undefined, void, undefined>
}

/** A table whose keys are text: it has ranges. */
export interface TextTableClient<K, V, G> extends TableClient<K, V, G> {
  /** The rows whose keys are in a range, in the order of the keys' UTF-8 bytes. Throws as `entries`. */
  range(options?: ListRangeOptions): AsyncGenerator<readonly [key: JsonOf<K>, value: JsonOf<V>], void, undefined>
  /** The rows whose keys begin with this text. Throws as `entries`. */
  prefix(
    text: string,
    options?: Omit<ListRangeOptions, 'from' | 'to'>,
  ): AsyncGenerator<readonly [key: JsonOf<K>, value: JsonOf<V>], void, undefined>
  pages(options?: PageOptions): AsyncGenerator<RowsPage<JsonOf<K>, JsonOf<V>>, void, undefined>
  /** The committed rows of a range, and what commits change of them. Throws as `watch`. */
  watchRange(options?: WatchRangeCallOptions): AsyncGenerator<WatchedChange<JsonOf<V>>, void, undefined>
}

/** A set table of the app. */
export interface SetClient<K, E> {
  /** The elements of a key; none if it has no set. Throws as `get` of a table. */
  get(key: SentAsJson<K>, options?: ReadKeyOptions): Promise<readonly JsonOf<E>[]>
  /** The committed elements of a key, now and after each commit that changes them. As `watch` of a table. */
  watch(key: SentAsJson<K>, options?: WatchCallOptions): AsyncGenerator<readonly JsonOf<E>[], void, undefined>
}

const PAGE_SIZE = 500

/** Tables of all kinds: the types of the app say which methods each has. */
export class HttpTable implements TextTableClient<unknown, unknown, unknown> {
  readonly #requests: Requests
  readonly #name: string

  constructor(requests: Requests, name: string) {
    this.#requests = requests
    this.#name = name
  }

  get(key: unknown, options: ReadKeyOptions = {}): Promise<unknown> {
    return this.read(key, options)
  }

  /** `times`: of a table by windows, which of them. */
  async read(
    key: unknown,
    { read, maxLag, after, ...options }: ReadKeyOptions,
    times: Readonly<Record<string, number | undefined>> = {},
  ): Promise<unknown> {
    const event = after === undefined ? undefined : `${after.topic}/${after.partition}@${after.offset}`
    const query = { jsonKey: JSON.stringify(key), read, maxLag, after: event, ...times }
    try {
      return await this.#requests.json({ ...options, path: this.#path('', query) })
    } catch (thrown) {
      if (thrown instanceof HttpClientError && thrown.code === 'NO_VALUE') return undefined
      throw thrown
    }
  }

  async *pages({
    limit = Infinity,
    pageSize = PAGE_SIZE,
    reverse = false,
    partial = false,
    ...options
  }: PageOptions = {}): AsyncGenerator<RowsPage<unknown, unknown>, void, undefined> {
    const { signal, timeout, read, ...range } = options
    const isRange = reverse || Object.values(range).some((bound) => bound !== undefined)
    let left = limit
    let cursor: string | undefined
    while (left > 0) {
      const size = Math.min(pageSize, left)
      const flags = { reverse: reverse ? 1 : undefined, partial: partial ? 1 : undefined, all: isRange ? undefined : 1 }
      const path = this.#path('', { ...range, ...flags, read, cursor, limit: size })
      const page = readPage(await this.#requests.json({ signal, timeout, path }))
      yield page
      left -= page.rows.length
      cursor = page.cursor
      if (cursor === undefined) return
    }
  }

  async *range(options: PageOptions = {}): AsyncGenerator<readonly [unknown, unknown], void, undefined> {
    for await (const { rows } of this.pages(options)) yield* rows
  }

  prefix(
    text: string,
    options: Omit<ListRangeOptions, 'from' | 'to'> = {},
  ): AsyncGenerator<readonly [unknown, unknown], void, undefined> {
    return this.range({ ...options, prefix: text })
  }

  entries(options: ListOptions = {}): AsyncGenerator<readonly [unknown, unknown], void, undefined> {
    return this.range(options)
  }

  async *keys(options: ListOptions = {}): AsyncGenerator<unknown, void, undefined> {
    for await (const [key] of this.range(options)) yield key
  }

  async *values(options: ListOptions = {}): AsyncGenerator<unknown, void, undefined> {
    for await (const [, value] of this.range(options)) yield value
  }

  watch(key: unknown, options: WatchCallOptions = {}): AsyncGenerator<unknown, void, undefined> {
    return this.follow(key, options)
  }

  /** `times`: as of `read`. */
  async *follow(
    key: unknown,
    { signal }: WatchCallOptions,
    times: Readonly<Record<string, number | undefined>> = {},
  ): AsyncGenerator<unknown, void, undefined> {
    const path = this.#path('watch/', { jsonKey: JSON.stringify(key), ...times })
    for await (const { event, data } of follow(this.#requests, { path, signal })) {
      if (event === 'value') yield asFields(JSON.parse(data))['value']
      if (event === 'delete') yield undefined
    }
  }

  async *watchRange({ signal, ...range }: WatchRangeCallOptions = {}): AsyncGenerator<
    WatchedChange<unknown>,
    void,
    undefined
  > {
    const path = this.#path('watch/', { ...range })
    for await (const { event, data } of follow(this.#requests, { path, signal })) {
      if (event === 'state' || event === 'ready') yield { type: event }
      if (event !== 'value' && event !== 'delete') continue
      const { key, value } = asFields(JSON.parse(data))
      yield event === 'value' ? { type: event, key: String(key), value } : { type: event, key: String(key) }
    }
  }

  #path(below: string, query: Readonly<Record<string, string | number | undefined>>): string {
    const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
    return `table/${encodeURIComponent(this.#name)}/${below}?${new URLSearchParams(given).toString()}`
  }
}

function readPage(body: unknown): RowsPage<unknown, unknown> & { readonly cursor: string | undefined } {
  const { rows, missing, cursor } = asFields(body)
  if (!Array.isArray(rows))
    throw new HttpClientError('The answer has no rows: is the URL that of a Millrace app?', { code: 'HTTP_200' })
  const list = rows.map(asFields).map(({ key, value }) => [key, value] as const)
  return {
    rows: list,
    missing: Array.isArray(missing) ? missing.map(Number) : [],
    cursor: typeof cursor === 'string' ? cursor : undefined,
  }
}

function asFields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
