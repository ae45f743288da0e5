import { DEEPEST } from './nesting.ts'

/**
 * Throws, with the path, if JSON would silently lose part of a value, or reading would refuse it: values nested too
 * deep, functions, symbols, NaN and infinities, undefined in arrays, maps and sets, typed arrays, and BigInt, for which
 * JSON has no form. Undefined properties are absent in JSON, like TypeScript's optional properties, and are allowed.
 * Objects with `toJSON` (dates) are not inspected.
 */
export function assertJsonValue(value: unknown): void {
  refuse(jsonProblem(value, 0, false))
}

/**
 * Like `assertJsonValue`, but also refuses dates and instances of other classes, which JSON returns as something else.
 * A table returns values from memory today and from bytes tomorrow, so they must be the same.
 */
export function assertComesBack(value: unknown): void {
  refuse(jsonProblem(value, 0, true))
}

function refuse(problem: JsonProblem | undefined): void {
  if (problem === undefined) return
  const { what, path } = problem
  const shown = path.length > LONGEST_PATH ? `${path.slice(0, LONGEST_PATH)}…` : path
  throw new TypeError(`JSON cannot hold ${what}${path === '' ? '' : ` (at ${shown.slice(1)})`}.`)
}

const LONGEST_PATH = 200

interface JsonProblem {
  readonly what: string
  readonly path: string
}

function jsonProblem(value: unknown, depth: number, strict: boolean): JsonProblem | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : { what: String(value), path: '' }
    case 'object':
      if (value === null) return undefined
      return depth < DEEPEST ? objectProblem(value, depth, strict) : isCircular(value) ? undefined : TOO_DEEP
    case 'undefined':
      return { what: 'undefined', path: '' }
    case 'bigint':
      return { what: `the BigInt ${value}n`, path: '' }
    default:
      return { what: `a ${typeof value}`, path: '' }
  }
}

const TOO_DEEP: JsonProblem = { what: `a value nested more than ${DEEPEST} deep`, path: '' }

/** `JSON.stringify` decides it best, for the whole value. */
function isCircular(value: object): boolean {
  try {
    JSON.stringify(value)
    return false
  } catch (error) {
    return error instanceof TypeError
  }
}

function objectProblem(value: object, depth: number, strict: boolean): JsonProblem | undefined {
  if (Array.isArray(value)) return arrayProblem(value, depth, strict)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    if (value instanceof Map || value instanceof Set) return { what: `a ${value.constructor.name}`, path: '' }
    if (ArrayBuffer.isView(value)) return { what: 'bytes', path: '' }
    if (strict) return { what: `${describeClass(value)}, which it gives back as something else`, path: '' }
    if ('toJSON' in value && typeof value.toJSON === 'function') return undefined
  }
  const parts = value as Readonly<Record<string, unknown>>
  for (const name in parts) {
    const part = parts[name]
    // The common cases first: this runs for every value sent.
    if (typeof part === 'string' || part === undefined || (typeof part === 'number' && Number.isFinite(part))) continue
    const problem = jsonProblem(part, depth + 1, strict)
    // JSON leaves out inherited properties, and calls `toJSON` rather than read the parts of an object.
    if (problem === undefined || !Object.hasOwn(parts, name)) continue
    if (typeof parts.toJSON === 'function' && !strict) return undefined
    return { what: problem.what, path: `.${name}${problem.path}` }
  }
  return undefined
}

function arrayProblem(value: readonly unknown[], depth: number, strict: boolean): JsonProblem | undefined {
  for (let i = 0; i < value.length; i++) {
    const part = value[i]
    if (typeof part === 'string' || (typeof part === 'number' && Number.isFinite(part))) continue
    const problem = jsonProblem(part, depth + 1, strict)
    if (problem !== undefined) return { what: problem.what, path: `.${i}${problem.path}` }
  }
  return undefined
}

function describeClass(value: object): string {
  const { name } = value.constructor
  return `a ${name === '' || name === 'Object' ? 'value with a prototype of its own' : name}`
}
