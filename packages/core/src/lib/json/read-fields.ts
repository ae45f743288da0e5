/** Limit for names, addresses and ids, which every member of the group receives. */
const LONGEST_TEXT = 512
/** Limit for lists: more tasks or topics than one group can have. */
const LONGEST_LIST = 100_000

/** The fields of a JSON object. */
export type Fields = Readonly<Record<string, unknown>>

/** Data is not as expected: its writer uses another format, or none. */
class Unreadable extends Error {}

/**
 * Parses JSON from others with `read`; `undefined` if a field is invalid, or `v` is another version. Any client that
 * knows the group's name can send anything, so everything is validated.
 */
export function readFields<T>(
  bytes: Uint8Array,
  version: number | undefined,
  read: (fields: Fields) => T,
): T | undefined {
  try {
    const fields = asFields(JSON.parse(Buffer.from(bytes).toString()))
    return fields['v'] === version ? read(fields) : undefined
  } catch (thrown) {
    if (thrown instanceof Unreadable || thrown instanceof SyntaxError) return undefined
    throw thrown
  }
}

/** Returns the value if it is valid. */
export function mustBe<T>(isRight: boolean, value: T): T {
  if (isRight) return value
  throw new Unreadable()
}

export function asFields(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new Unreadable()
}

export function asText(value: unknown): string {
  if (typeof value === 'string' && value.length <= LONGEST_TEXT) return value
  throw new Unreadable()
}

export function asInteger(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new Unreadable()
}

/** A secret as `newSecret` makes it. */
export function asSecret(value: unknown): string {
  const text = asText(value)
  return mustBe(/^[\w-]{22}$/.test(text), text)
}

export function asList<T>(value: unknown, as: (one: unknown) => T, most: number = LONGEST_LIST): readonly T[] {
  if (Array.isArray(value) && value.length <= most) return value.map(as)
  throw new Unreadable()
}

export function asTexts(value: unknown): readonly string[] {
  return asList(value, asText)
}

export function asMap<K, V>(value: unknown, asKey: (key: string) => K, as: (one: unknown) => V): ReadonlyMap<K, V> {
  const entries = Object.entries(asFields(value))
  return mustBe(entries.length <= LONGEST_LIST, new Map(entries.map(([key, one]) => [asKey(key), as(one)])))
}

/** Reads a field that may be left out. */
export function optional<T>(value: unknown, as: (value: unknown) => T): T | undefined {
  return value === undefined || value === null ? undefined : as(value)
}
