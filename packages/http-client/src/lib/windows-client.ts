import type { JsonOf, SentAsJson } from './json.ts'
import type { Requests } from './requests.ts'
import { HttpTable, type ReadKeyOptions, type WatchCallOptions } from './table-client.ts'

/** A window in which a key has a value; times in milliseconds since the epoch. */
export interface ReadWindow<V> {
  readonly start: number
  readonly end: number
  readonly value: V
}

/** Which windows: those that overlap a stretch of time. */
export interface WindowSpan {
  /** Included. Default: all that are kept. */
  readonly from?: number | Date | undefined
  /** Excluded. */
  readonly to?: number | Date | undefined
}

/** How to read the windows of a key. */
export type WindowReadOptions = Omit<ReadKeyOptions, 'maxLag' | 'read'> &
  WindowSpan & {
    /** As of the last finished event (the default), or of the last commit. */
    readonly read?: 'finished' | 'committed' | undefined
  }

/** A table by windows, which was given a name: `counts.tumbling('1m', { name: 'minutes' })`. */
export interface WindowsClient<K, V> {
  /**
   * The windows of a key, the oldest first; none if it has no value in any.
   *
   * @throws `HttpClientError`, or the signal's reason
   * @example
   * const lastHour = await client.windows('minutes').get('milk', { from: Date.now() - 3_600_000 })
   */
  get(key: SentAsJson<K>, options?: WindowReadOptions): Promise<readonly ReadWindow<JsonOf<V>>[]>
  /** The window that holds a time, of hopping windows the one that began last; `undefined` if it has no value. Throws as `get`. */
  at(
    key: SentAsJson<K>,
    time: number | Date,
    options?: Omit<WindowReadOptions, 'from' | 'to'>,
  ): Promise<ReadWindow<JsonOf<V>> | undefined>
  /** The committed windows of a key, now and after each commit that changes one. As `watch` of a table. */
  watch(
    key: SentAsJson<K>,
    options?: WatchCallOptions & WindowSpan,
  ): AsyncGenerator<readonly ReadWindow<JsonOf<V>>[], void, undefined>
}

export class HttpWindows {
  readonly #table: HttpTable

  constructor(requests: Requests, name: string) {
    this.#table = new HttpTable(requests, name)
  }

  async get(key: unknown, { from, to, ...options }: WindowReadOptions = {}): Promise<unknown> {
    return (await this.#table.read(key, options, { from: timeOf(from), to: timeOf(to) })) ?? []
  }

  at(key: unknown, time: number | Date, options: Omit<WindowReadOptions, 'from' | 'to'> = {}): Promise<unknown> {
    return this.#table.read(key, options, { at: timeOf(time) })
  }

  async *watch(
    key: unknown,
    { from, to, ...options }: WatchCallOptions & WindowSpan = {},
  ): AsyncGenerator<unknown, void, undefined> {
    for await (const windows of this.#table.follow(key, options, { from: timeOf(from), to: timeOf(to) }))
      yield windows ?? []
  }
}

function timeOf(time: number | Date | undefined): number | undefined {
  return time === undefined ? undefined : Math.floor(Number(time))
}
