import { MillraceError } from '../errors/millrace-error.ts'
import { redactUrl } from './redact-url.ts'
import { splitUrl } from './split-url.ts'

/** What a broker URL says. */
export type BrokerUrl =
  | { readonly scheme: 'kafka'; readonly brokers: readonly string[] }
  /** `directory` as written: relative ones are resolved by the app; `undefined` is the default place. */
  | { readonly scheme: 'embedded'; readonly directory: string | undefined }
  | { readonly scheme: 'memory' }

const SCHEMES = ['kafka', 'embedded', 'memory'] as const
const DEFAULT_PORT = 9092
const HOST_AND_PORT = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]/@]+)(?::(\d+))?$/

/**
 * Reads a broker URL: `kafka://host[:port][,host[:port]]` (port 9092 when none is given), `embedded:`,
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
  const { scheme, rest } = splitUrl(text, SCHEMES, 'kafka://', refuse)
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
  // Before it is split: a password may have commas in it, and must not be taken for a host.
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
