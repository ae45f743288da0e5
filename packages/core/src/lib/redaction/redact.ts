import type { Logger } from '../../contracts/logger.ts'
import type { RawHeaders } from '../../contracts/record.ts'

/** Removes secrets from a text. */
export type Redact = (text: string) => string

const HIDDEN = '***'
/** A shorter secret would occur in half of all words. */
const SHORTEST_SECRET = 4
/**
 * Patterns that are secret anywhere. In a replacement, `$1` and so on are groups. Credentials are searched in a limited
 * number of characters before an `@`, which bounds the work for a text with many URLs.
 */
const RULES: readonly (readonly [pattern: RegExp, shown: string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, HIDDEN],
  // Up to the path, because an `@` is common in paths of the web and of files (`vue@3`).
  [/\b((?:https?|wss?):\/\/)[^\s"<>/?#]{0,1000}@/gi, `$1${HIDDEN}@`],
  // In other URLs a password that is not encoded may hold any character, even an `@` or a slash.
  [/\b((?!https?:|wss?:|file:)[a-z][a-z0-9+.-]{0,30}:\/\/)[^\s"<>]{0,1000}@/gi, `$1${HIDDEN}@`],
  [/((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(["']?\s{0,3}[:=]\s{0,3}["']?)[^"'\r\n]+/gi, `$1$2${HIDDEN}`],
  [/\b(bearer\s{1,3})[\w.~+/=-]{8,}/gi, `$1${HIDDEN}`],
  [/(millrace-session=)[^\s;"']+/g, `$1${HIDDEN}`],
  [
    /((?:password|passwd|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key)["']?(?:=|"\s?:|'\s?:|:\s{0,3}(?=["']))\s{0,3}["']?)[^\s"'&,;)}\]]+/gi,
    `$1${HIDDEN}`,
  ],
  [/((?:password|passwd|passphrase)\s?:\s{1,3})[^\s"'&,;)}\]]+/gi, `$1${HIDDEN}`],
]

/**
 * The one function through which texts leave the process: log lines, errors in `/stats` and other pages, headers of
 * dead letters, replies. It hides the given secrets, in plain, URL and JSON form, and texts that look like secrets:
 * credentials in URLs, `Authorization` and `Cookie`, bearer tokens, `password=…` and the like, private keys.
 *
 * @param secrets values; those of fewer than four characters are left alone
 * @example
 * redactor(['hunter2'])('login with hunter2 at postgres://me:pw@db failed') // 'login with *** at postgres://***@db failed'
 */
export function redactor(secrets: Iterable<string> = []): Redact {
  const forms = [...secrets]
    .filter((secret) => secret.trim().length >= SHORTEST_SECRET)
    .flatMap((secret) => [
      secret,
      secret.trim(),
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(Buffer.from(secret).toString()),
    ])
  // The longest first, so that no rest is left of a secret that contains another.
  const known = [...new Set(forms)].toSorted((a, b) => b.length - a.length)
  return (text) => {
    let shown = text
    for (const secret of known) shown = shown.replaceAll(secret, HIDDEN)
    for (const [pattern, kept] of RULES) shown = shown.replace(pattern, kept)
    return shown
  }
}

/** `redactor` without given secrets: hides what looks like one. */
export const redactText: Redact = redactor()

const SECRET_NAME =
  /^(?:(?:proxy-)?authorization|(?:set-)?cookie|x-api-key|.*(?:password|passwd|passphrase|secret|token|api[-_]?key|private[-_]?key))$/i

/** Whether a field or a header of this name holds a secret, whatever its value. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

/** Headers as text, for people: of secret ones only the names. */
export function shownHeaders(headers: RawHeaders): readonly (readonly [name: string, text: string | null])[] {
  return headers.map(([name, bytes]) => [
    name,
    bytes === null ? null : isSecretName(name) ? HIDDEN : bytes.toString('utf8'),
  ])
}

/**
 * A logger whose fields and messages go through `redact`. Errors keep their class; those without secrets are passed on
 * unchanged.
 */
export class RedactingLogger implements Logger {
  readonly #log: Logger
  readonly #redact: Redact

  constructor(log: Logger, redact: Redact) {
    this.#log = log
    this.#redact = redact
  }

  debug(fields: object, message: string): void {
    this.#log.debug(this.#clean(fields), this.#redact(message))
  }

  info(fields: object, message: string): void {
    this.#log.info(this.#clean(fields), this.#redact(message))
  }

  warn(fields: object, message: string): void {
    this.#log.warn(this.#clean(fields), this.#redact(message))
  }

  error(fields: object, message: string): void {
    this.#log.error(this.#clean(fields), this.#redact(message))
  }

  #clean(fields: object): object {
    const shown = redactValue(fields, this.#redact, [])
    return typeof shown === 'object' && shown !== null ? shown : fields
  }
}

/** Deeper than anything that is logged. */
const DEEPEST = 10

/** Redacts a value as JSON would show it: returns the same value if nothing in it is secret, otherwise a copy. */
function redactValue(value: unknown, redact: Redact, within: readonly object[]): unknown {
  if (typeof value === 'string') return redact(value)
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  if (within.includes(value) || within.length >= DEEPEST) return HIDDEN
  const around = [...within, value]
  if (value instanceof Error) return redactError(value, redact, around)
  if ('toJSON' in value && typeof value.toJSON === 'function') return redactValue(value.toJSON(), redact, around)
  if (Array.isArray(value)) {
    const shown = value.map((each: unknown) => redactValue(each, redact, around))
    return shown.every((each, at) => each === value[at]) ? value : shown
  }
  const entries = Object.entries(value).map(([name, each]: [string, unknown]) => {
    const isSecret = typeof each === 'string' && each !== '' && isSecretName(name)
    return [name, isSecret ? HIDDEN : redactValue(each, redact, around), each] as const
  })
  if (entries.every(([, shown, each]) => shown === each)) return value
  return Object.fromEntries(entries.map(([name, shown]) => [name, shown]))
}

/** Returns the same error if nothing in it is secret, so that the logger's caller can recognize it. */
function redactError(error: Error, redact: Redact, around: readonly object[]): Error {
  const names = new Set(['message', 'stack', 'cause', ...Object.keys(error)])
  const changed = [...names].flatMap((name) => {
    const value: unknown = Reflect.get(error, name)
    const shown = redactValue(value, redact, around)
    return shown === value ? [] : [[name, shown] as const]
  })
  if (changed.length === 0) return error
  const copy = Object.create(Object.getPrototypeOf(error), Object.getOwnPropertyDescriptors(error))
  for (const [name, value] of changed) {
    const enumerable = Object.keys(error).includes(name)
    Object.defineProperty(copy, name, { value, writable: true, configurable: true, enumerable })
  }
  return copy
}
