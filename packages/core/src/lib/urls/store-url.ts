import { MillraceError } from '../errors/millrace-error.ts'
import { redactUrl } from './redact-url.ts'
import { splitUrl } from './split-url.ts'

/** What a store URL says. */
export type StoreUrl =
  | { readonly scheme: 'memory' }
  /** `directory` as written: relative ones are resolved by the app; `undefined` is the default place. */
  | { readonly scheme: 'lmdb'; readonly directory: string | undefined }

const SCHEMES = ['memory', 'lmdb'] as const

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
  const { scheme, rest } = splitUrl(text, SCHEMES, 'lmdb:', refuse)
  if (scheme === 'memory')
    return rest === '' ? { scheme } : refuse(`has '${redactUrl(rest)}' after memory:, which takes nothing`)
  if (rest.startsWith('//')) return refuse('has slashes after its scheme: write lmdb:./directory or lmdb:/directory')
  return { scheme, directory: rest === '' ? undefined : rest }
}
