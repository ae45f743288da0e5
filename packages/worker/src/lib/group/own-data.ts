import { asInteger, asMap, asText, optional, readFields } from '@millrace/core'
import { MOST_SUSPECTS, type Suspect } from '../task/suspects.ts'
import { asSuspects } from './member-data.ts'

/** What the leader sends one member only, with its assignment. */
export interface OwnData {
  /** By task id: the copies that it keeps warm, and which of the task's copies each is, from 0 on. */
  readonly standbys: ReadonlyMap<string, number>
  /** Events in its partitions that may block the event loop. */
  readonly suspects: readonly Suspect[]
}

export const NO_OWN_DATA: OwnData = { standbys: new Map(), suspects: [] }

/** Fields may be added: members of other versions pass over those that they do not know. */
const VERSION = 1

export function encodeOwnData({ standbys, suspects }: OwnData): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      v: VERSION,
      standbys: Object.fromEntries(standbys),
      ...(suspects.length === 0 ? {} : { suspects: suspects.slice(0, MOST_SUSPECTS) }),
    }),
  )
}

/** Data of a format that is not known is taken for no data: it keeps no copies then. */
export function decodeOwnData(bytes: Uint8Array): OwnData {
  const read = readFields(bytes, VERSION, ({ standbys, suspects }) => ({
    standbys: asMap(standbys, asText, asInteger),
    suspects: optional(suspects, asSuspects) ?? [],
  }))
  return read ?? NO_OWN_DATA
}
