import { checkOptions, MillraceError, type OptionNames } from '@millrace/core'
import { type CodecKeys, prefixEnd, type RowSpan } from '@millrace/state'

/** Which rows of a table to read. */
export interface RangeOptions<K> {
  /** The first key, included. */
  readonly from?: K
  /** The end, which does not belong to the range. */
  readonly to?: K
  /** From the end of the range down to its start. Default false. */
  readonly reverse?: boolean
  /** The most rows. Default: all. */
  readonly limit?: number
}

const RANGE_OPTIONS: OptionNames<RangeOptions<unknown>> = { from: true, to: true, reverse: true, limit: true }
/** Codecs whose bytes sort as keys do. */
const ORDERED: readonly string[] = ['string', 'bytes']

/** Rows to read, and how many at most. */
export interface LimitedSpan extends RowSpan {
  readonly limit: number
  /** As of the last commits. Default false. */
  readonly committed?: boolean | undefined
}

/** Throws `RANGE_UNORDERED`, `DEFINITION_INVALID`. */
export function spanOf<K>(keys: CodecKeys<K>, options: RangeOptions<K>): LimitedSpan {
  assertOrdered(keys, 'range')
  checkOptions(`range() of ${keys.where}`, options, RANGE_OPTIONS)
  const { from, to, reverse } = options
  return {
    from: from === undefined ? undefined : keys.encode(from),
    to: to === undefined ? undefined : keys.encode(to),
    reverse,
    limit: limitOf(keys, options),
  }
}

/** The rows whose keys begin with this text. Throws as `spanOf` does. */
export function prefixSpan<K>(
  keys: CodecKeys<K>,
  text: string,
  options: Pick<RangeOptions<K>, 'reverse' | 'limit'>,
): LimitedSpan {
  assertOrdered(keys, 'prefix')
  const from = Buffer.from(text)
  return { from, to: prefixEnd(from), reverse: options.reverse, limit: limitOf(keys, options) }
}

/** Rows whose keys are text, as pages and commands ask for them. */
export interface TextRange {
  readonly prefix?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
  /** The last key of the page before. */
  readonly after?: string | undefined
  readonly reverse?: boolean | undefined
  readonly limit: number
  /** As of the last commits. Default false. */
  readonly committed?: boolean | undefined
}

/** A page of all rows, in byte order of their keys. */
export interface RowCursor {
  /** The key of the last row of the page before; `undefined` for the first page. */
  readonly after: Buffer | undefined
  readonly limit: number
  /** As of the last commits. */
  readonly committed: boolean
}

export function pageSpan({ after, ...page }: RowCursor): LimitedSpan {
  return { ...page, from: after === undefined ? undefined : Buffer.concat([after, Buffer.alloc(1)]) }
}

/** Rows with the bytes of their keys. */
export async function* withBytes<K, V>(
  keys: Pick<CodecKeys<K>, 'encode'>,
  rows: AsyncIterable<readonly [key: K, value: V]>,
): AsyncGenerator<readonly [bytes: Buffer, key: K, value: V]> {
  for await (const [key, value] of rows) yield [keys.encode(key), key, value]
}

/** Throws `RANGE_UNORDERED` if keys are not text. */
export function textSpan<K>(
  { codecName, where }: CodecKeys<K>,
  { prefix, from, to, after, reverse = false, limit, committed }: TextRange,
): LimitedSpan {
  if (codecName !== 'string')
    throw new MillraceError('RANGE_UNORDERED', `A range was asked of ${where}, whose keys are ${codecName}, not text.`)
  const begin = prefix === undefined ? undefined : Buffer.from(prefix)
  const starts = [begin, bytesOf(from), reverse ? undefined : bytesOf(after, '\0')]
  const ends = [begin === undefined ? undefined : prefixEnd(begin), bytesOf(to), reverse ? bytesOf(after) : undefined]
  return { from: furthest(starts, 1), to: furthest(ends, -1), reverse, limit, committed }
}

function bytesOf(text: string | undefined, end = ''): Buffer | undefined {
  return text === undefined ? undefined : Buffer.from(text + end)
}

/** The last of these keys, or with -1 the first. */
function furthest(keys: readonly (Buffer | undefined)[], order: 1 | -1): Buffer | undefined {
  return keys
    .flatMap((key) => (key === undefined ? [] : key))
    .toSorted((a, b) => order * a.compare(b))
    .at(-1)
}

function assertOrdered<K>({ codecName, where }: CodecKeys<K>, method: string): void {
  if (!ORDERED.includes(codecName))
    throw new MillraceError(
      'RANGE_UNORDERED',
      `${method}() was called on ${where}, whose keys are ${codecName}: their bytes do not sort as they do.`,
    )
}

function limitOf<K>({ where }: CodecKeys<K>, { limit = Infinity }: { readonly limit?: number }): number {
  if (limit === Infinity || (Number.isInteger(limit) && limit >= 0)) return limit
  throw new MillraceError('DEFINITION_INVALID', `limit of a range of ${where} is ${limit}; it takes 0, 1, 2, …`)
}

/** The first `limit` of these. */
export async function* atMost<T>(limit: number, items: AsyncIterable<T>): AsyncGenerator<T> {
  let left = limit
  if (left <= 0) return
  for await (const item of items) {
    yield item
    if (--left <= 0) return
  }
}

/** Rows whose keys are text. */
export async function* textKeys<K, V>(
  rows: AsyncIterable<readonly [key: K, value: V]>,
): AsyncGenerator<readonly [key: string, value: V]> {
  for await (const [key, value] of rows) yield [String(key), value]
}
