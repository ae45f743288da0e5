import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { MillraceError, toError } from '../errors/millrace-error.ts'
import { nameProblem } from '../names/names.ts'
import { formatByteSize, readByteSize } from '../units/byte-size.ts'
import { formatDuration, readDuration } from '../units/duration.ts'
import { parseRegistryUrl } from '../urls/registry-url.ts'
import { parseBrokerUrl, parseStoreUrl } from '../urls/urls.ts'
import type { PemSource, SettingDeclaration, SettingTypes } from './setting-types.ts'

/** Reads values of one type of setting. */
export interface SettingReader {
  /** What it takes, as the end of "it takes …". */
  accepts(declaration: SettingDeclaration): string
  /** The resolved value; `undefined` if it is invalid. Throws only if a specific error says more. */
  read(value: unknown, declaration: SettingDeclaration, name: string): unknown
  /** Converts text from the command line or the environment to a value for `read`. Default: the text. */
  fromText?(text: string): unknown
}

/** How each type of setting is read. */
export const settingReaders: { readonly [Type in keyof SettingTypes]: SettingReader } = {
  text: { accepts: () => 'text', read: textOf },
  pem: { accepts: () => 'the text of a PEM file, or its path', read: pemOf },
  pemFile: { accepts: () => 'the text of a PEM file, or its path', read: pemFileOf },
  name: {
    accepts: () => 'letters, digits, dots, dashes and underscores',
    read: (value) => (nameProblem(value) === undefined ? value : undefined),
  },
  choice: {
    accepts: ({ choices = [] }) => `one of ${choices.map((known) => `'${known}'`).join(', ')}`,
    read: (value, { choices = [] }) => choices.find((known) => known === value),
  },
  flag: {
    accepts: () => 'true or false',
    read: (value) => (typeof value === 'boolean' ? value : undefined),
    fromText: flagOf,
  },
  integer: {
    accepts: describeRange,
    read: integerOf,
    fromText: (text) => (/^[+-]?\d+$/.test(text) ? Number(text) : text),
  },
  integerOrAuto: {
    accepts: (declaration) => `${describeRange(declaration)}, or 'auto'`,
    read: (value, declaration) => (value === 'auto' ? value : integerOf(value, declaration)),
    fromText: (text) => (/^[+-]?\d+$/.test(text) ? Number(text) : text),
  },
  duration: {
    accepts: (declaration) =>
      `milliseconds as a number, or text such as '250ms', '10s', '5m', '1h', '1d'${describeBounds(declaration, formatDuration)}`,
    read: (value, declaration) => within(readDuration(value), declaration),
  },
  durationOrFalse: {
    accepts: () => "milliseconds as a number, text such as '250ms', '10s', '5m', '1h', '1d', or false",
    read: (value, declaration) => (value === false ? Infinity : within(readDuration(value), declaration)),
    fromText: (text) => (NO.includes(text) ? false : text),
  },
  size: {
    accepts: (declaration) =>
      `bytes as a number, or text such as '512kb', '32mb', '1gb'${describeBounds(declaration, formatByteSize)}`,
    read: (value, declaration) => within(readByteSize(value), declaration),
  },
  broker: {
    accepts: () => 'a broker URL, or in the app file a function that makes a transport',
    read: driverOf(parseBrokerUrl),
  },
  store: {
    accepts: () => 'a store URL, or in the app file a function that makes a store',
    read: driverOf(parseStoreUrl),
  },
  registry: {
    accepts: () => 'the URL of a schema registry, such as http://registry:8081',
    read: (value) => (typeof value === 'string' ? parseRegistryUrl(value).text : undefined),
  },
  webDriver: {
    accepts: () => "'hono', or in the app file a function that makes a web driver",
    read: (value) => (value === 'hono' || typeof value === 'function' ? value : undefined),
  },
  token: {
    accepts: () => 'a function, in the app file',
    read: (value) => (typeof value === 'function' ? value : undefined),
  },
}

const YES = ['true', 'yes', 'on', '1']
const NO = ['false', 'no', 'off', '0']

function textOf(value: unknown): unknown {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function pemOf(value: unknown, declaration: SettingDeclaration, name: string): unknown {
  return pemFileOf(value, declaration, name)?.text
}

function pemFileOf(value: unknown, { secret }: SettingDeclaration, name: string): PemSource | undefined {
  const text = textOf(value)
  if (typeof text !== 'string') return undefined
  // A value that should be a path may be a key without its first line.
  const shown = secret === true ? '' : ` ${text}`
  if (text.includes('-----BEGIN ')) return { text, file: undefined }
  const pem = readSettingFile(text, `The file${shown} of setting ${name}`)
  if (pem.includes('-----BEGIN ')) return { text: pem, file: resolve(text) }
  throw new MillraceError('SETTING_INVALID', `The file${shown} of setting ${name} holds no PEM text.`)
}

/** The text of a file that a setting names; `what` begins the message of the `SETTING_INVALID` that it throws. */
export function readSettingFile(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : toError(error).name
    throw new MillraceError('SETTING_INVALID', `${what} cannot be read: ${code}.`)
  }
}

function flagOf(text: string): unknown {
  const word = text.toLowerCase()
  if (YES.includes(word)) return true
  return NO.includes(word) ? false : text
}

function integerOf(value: unknown, declaration: SettingDeclaration): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) ? within(value, declaration) : undefined
}

function within(
  value: number | undefined,
  { least = -Infinity, most = Infinity }: SettingDeclaration,
): number | undefined {
  return value !== undefined && value >= least && value <= most ? value : undefined
}

/** URLs stay text, but an invalid one is refused here, with an error that says what is wrong with it. */
function driverOf(parseUrl: (text: string) => unknown): (value: unknown) => unknown {
  return (value) => {
    if (typeof value === 'string') parseUrl(value)
    return typeof value === 'string' || typeof value === 'function' ? value : undefined
  }
}

function describeRange({ least, most }: SettingDeclaration): string {
  if (least !== undefined && most !== undefined) return `a whole number from ${least} to ${most}`
  return least === undefined ? 'a whole number' : `a whole number, ${least} or more`
}

function describeBounds({ least, most }: SettingDeclaration, format: (value: number) => string): string {
  const bounds = [
    ...(least === undefined ? [] : [`at least '${format(least)}'`]),
    ...(most === undefined ? [] : [`at most '${format(most)}'`]),
  ]
  return bounds.length === 0 ? '' : `, ${bounds.join(' and ')}`
}
