import { assertJsonValue } from './json-value.ts'

/**
 * JSON text that depends on the value alone: names sorted by code unit, no spaces. Two equal keys written by two
 * producers are then the same bytes, and so the same key. Throws for what JSON cannot hold.
 *
 * @example
 * canonicalJson({ b: 1, a: 2 }) // '{"a":2,"b":1}'
 */
export function canonicalJson(value: unknown): string {
  assertJsonValue(value)
  return write(value, [])
}

function write(value: unknown, parents: readonly object[]): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (parents.includes(value)) throw new TypeError('JSON cannot hold a value that contains itself.')
  const path = [...parents, value]
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    const plain: unknown = value.toJSON()
    assertJsonValue(plain)
    return write(plain, path)
  }
  if (Array.isArray(value)) return `[${value.map((part) => write(part, path)).join(',')}]`
  const parts = value as Readonly<Record<string, unknown>>
  let members = ''
  for (const name of Object.keys(parts).sort()) {
    const part = parts[name]
    if (part !== undefined) members += `${members === '' ? '' : ','}${JSON.stringify(name)}:${write(part, path)}`
  }
  return `{${members}}`
}
