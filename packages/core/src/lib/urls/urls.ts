import { MillraceError } from '../errors/millrace-error.ts'
import { nearestName } from '../names/check-options.ts'

/**
 * Scheme and rest of a driver URL. The runtime's `URL` is not used, because it knows no lists of hosts and takes what
 * follows a scheme for a path.
 */
export function splitUrl<Scheme extends string>(
  text: string,
  schemes: readonly Scheme[],
  suggested: string,
  refuse: (problem: string) => never,
): { readonly scheme: Scheme; readonly rest: string } {
  if (text.trim() === '') return refuse('is empty')
  if (text !== text.trim()) return refuse('has spaces around it')
  const colon = text.indexOf(':')
  const word = text.slice(0, colon).toLowerCase()
  const scheme = schemes.find((known) => known === word)
  if (scheme !== undefined) return { scheme, rest: text.slice(colon + 1) }
  // A host with a port looks like a scheme with something behind it; two slashes distinguish them.
  if (colon < 1 || /^\d+(,|$)/.test(text.slice(colon + 1)))
    return refuse(`has no scheme: write ${suggested}${redactUrl(text)}`)
  const nearest = nearestName(word, schemes)
  const meant = nearest === undefined ? `known are ${schemes.join(', ')}` : `did you mean '${nearest}'?`
  return refuse(`has the unknown scheme '${word}' (${meant})`)
}

/** The contents of a broker URL. */
export type BrokerUrl =
  | { readonly scheme: 'kafka'; readonly brokers: readonly string[] }
  /** `directory` as written: the app resolves relative ones; `undefined` is the default place. */
  | { readonly scheme: 'embedded'; readonly directory: string | undefined }
  | { readonly scheme: 'memory' }

const BROKERS = ['kafka', 'embedded', 'memory'] as const
const DEFAULT_PORT = 9092
const HOST_AND_PORT = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]/@]+)(?::(\d+))?$/

/**
 * Reads a broker URL: `kafka://host[:port][,host[:port]]` (the default port is 9092), `embedded:`,
 * `embedded:./directory`, `memory:`.
 *
 * @throws `BROKER_URL_INVALID`, saying what is wrong with it
 * @example
 * parseBrokerUrl('kafka://a,b:9093') // { scheme: 'kafka', brokers: ['a:9092', 'b:9093'] }
 */
export function parseBrokerUrl(text: string): BrokerUrl {
  const refuse = (problem: string): never => {
    throw new MillraceError('BROKER_URL_INVALID', `The broker URL '${redactUrl(text)}' ${problem}.`)
  }
  const { scheme, rest } = splitUrl(text, BROKERS, 'kafka://', refuse)
  switch (scheme) {
    case 'kafka':
      return { scheme, brokers: readBrokers(rest, refuse) }
    case 'embedded':
      if (rest.startsWith('//'))
        return refuse('has slashes after its scheme: write embedded:./directory or embedded:/directory')
      return { scheme, directory: rest === '' ? undefined : rest }
    case 'memory':
      return rest === '' ? { scheme } : refuse(`has '${redactUrl(rest)}' after memory:, which takes nothing`)
  }
}

function readBrokers(rest: string, refuse: (problem: string) => never): readonly string[] {
  if (!rest.startsWith('//')) return refuse('lacks the two slashes after kafka:')
  const list = rest.slice(2).replace(/\/$/, '')
  if (list === '') return refuse('names no broker')
  // Checked before the list is split, because a password may contain commas and must not be taken for a host.
  if (list.includes('@')) return refuse('has credentials in it: give them as kafka.sasl')
  return list.split(',').map((broker) => readBroker(broker, refuse))
}

function readBroker(broker: string, refuse: (problem: string) => never): string {
  if (broker === '') return refuse('has an empty place in its list of brokers')
  if (/\s/.test(broker)) return refuse('has a space in it')
  const match = HOST_AND_PORT.exec(broker)
  if (match === null) return refuse(`has '${redactUrl(broker)}' in it, which is not host:port`)
  const port = match[2] === undefined ? DEFAULT_PORT : Number(match[2])
  if (port < 1 || port > 65_535) return refuse(`has the port ${port}, which is not between 1 and 65535`)
  return `${match[1]}:${port}`
}

/** The contents of a store URL. */
export type StoreUrl =
  | { readonly scheme: 'memory' }
  /** `directory` as written: the app resolves relative ones; `undefined` is the default place. */
  | { readonly scheme: 'lmdb'; readonly directory: string | undefined }

const STORES = ['memory', 'lmdb'] as const

/**
 * Reads a store URL: `memory:`, `lmdb:`, `lmdb:./directory`.
 *
 * @throws `STORE_URL_INVALID`, saying what is wrong with it
 * @example
 * parseStoreUrl('lmdb:./state') // { scheme: 'lmdb', directory: './state' }
 */
export function parseStoreUrl(text: string): StoreUrl {
  const refuse = (problem: string): never => {
    throw new MillraceError('STORE_URL_INVALID', `The store URL '${redactUrl(text)}' ${problem}.`)
  }
  const { scheme, rest } = splitUrl(text, STORES, 'lmdb:', refuse)
  if (scheme === 'memory')
    return rest === '' ? { scheme } : refuse(`has '${redactUrl(rest)}' after memory:, which takes nothing`)
  if (rest.startsWith('//')) return refuse('has slashes after its scheme: write lmdb:./directory or lmdb:/directory')
  return { scheme, directory: rest === '' ? undefined : rest }
}

/**
 * A URL for errors and logs, without user, password and query. Everything up to the last `@` is removed, since a
 * password that is not encoded may contain any character.
 *
 * @example
 * redactUrl('kafka://me:secret@a:9092,b:9092') // 'kafka://***@a:9092,b:9092'
 */
export function redactUrl(text: string): string {
  const scheme = /^\s*[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? ''
  const rest = text.slice(scheme.length)
  const at = rest.lastIndexOf('@')
  const shown = at < 0 ? rest : `***${rest.slice(at)}`
  return `${scheme}${shown.replace(/\?.*/s, '?***')}`
}

/**
 * Whether a broker URL is of the embedded broker, in memory or on disk, which is on this machine and used by nobody
 * else.
 */
export function isLocalBroker(broker: string): boolean {
  return /^(embedded|memory):/.test(broker)
}
