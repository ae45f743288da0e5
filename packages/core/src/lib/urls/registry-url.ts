import { MillraceError } from '../errors/millrace-error.ts'
import { redactUrl } from './urls.ts'

/** The parts of the URL of a schema registry. */
export interface RegistryUrl {
  /** As it was given. */
  readonly text: string
  /** Without user and password, and without the slash at its end. */
  readonly base: string
  readonly user: string | undefined
  readonly password: string | undefined
}

/**
 * Reads the URL of a schema registry: `http:` or `https:`, perhaps with user and password, and a path. `memory:` is one
 * in the process, for tests.
 *
 * @throws `SCHEMA_REGISTRY_URL_INVALID`
 * @example
 * parseRegistryUrl('https://me:secret@registry.shop:8081/apis/') // { base: 'https://registry.shop:8081/apis', user: 'me', … }
 */
export function parseRegistryUrl(text: string): RegistryUrl {
  const refuse = (problem: string): never => {
    throw new MillraceError('SCHEMA_REGISTRY_URL_INVALID', `The URL '${redactUrl(text)}' ${problem}.`)
  }
  if (text === 'memory:') return { text, base: text, user: undefined, password: undefined }
  if (!URL.canParse(text)) return refuse('is none')
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse('is not of http: or https:')
  if (url.search !== '' || url.hash !== '') return refuse('has a query or a fragment')
  const path = url.pathname.endsWith('/') ? url.pathname.slice(0, -1) : url.pathname
  return {
    text,
    base: `${url.protocol}//${url.host}${path}`,
    user: decoded(url.username, refuse),
    password: decoded(url.password, refuse),
  }
}

function decoded(part: string, refuse: (problem: string) => never): string | undefined {
  if (part === '') return undefined
  try {
    return decodeURIComponent(part)
  } catch {
    return refuse('has a % in user or password that is not encoded as %25')
  }
}
