/**
 * JSON of any value that a table may hold: bytes as base64, sets and maps as arrays, big integers as text. A value
 * without JSON becomes `null`. Throws for circular values.
 */
export function jsonText(value: unknown, space?: number): string {
  return JSON.stringify(value, plain, space) ?? 'null'
}

function plain(this: unknown, key: string, value: unknown): unknown {
  // `value` has been through toJSON, which turns a buffer into an array of numbers. JSON.stringify also wraps the whole
  // value.
  const original: unknown = typeof this === 'object' && this !== null ? Reflect.get(this, key) : value
  if (original instanceof Uint8Array)
    return Buffer.from(original.buffer, original.byteOffset, original.byteLength).toString('base64')
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Set || value instanceof Map) return [...value]
  return value
}
