import { readInteger, readJson, readMap, readText } from './member-data.ts'

/** What the leader tells one member only, with its assignment. */
export interface OwnData {
  /** By task id: the copies that it keeps warm, and which of the task's copies each is, from 0 on. */
  readonly standbys: ReadonlyMap<string, number>
}

export const NO_OWN_DATA: OwnData = { standbys: new Map() }

/** Fields may be added: members of other versions pass over those that they do not know. */
const VERSION = 1

export function encodeOwnData({ standbys }: OwnData): Uint8Array {
  return Buffer.from(JSON.stringify({ v: VERSION, standbys: Object.fromEntries(standbys) }))
}

/** Data of a format that is not known tells nothing. */
export function decodeOwnData(bytes: Uint8Array): OwnData {
  const json = readJson(bytes)
  if (json?.['v'] !== VERSION) return NO_OWN_DATA
  return { standbys: readMap(json['standbys'], readText, readInteger) ?? NO_OWN_DATA.standbys }
}
