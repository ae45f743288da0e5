import { randomBytes } from 'node:crypto'
import type { MemberData } from './member-data.ts'

type LivingMember = { readonly id: string; readonly data: Pick<MemberData, 'life' | 'generation' | 'secret'> }

/**
 * The life of a group lasts from its first member to its last one. Members that were in the group before pass it on,
 * and only a group of newcomers begins a new life, named after one of them. Of two lives (a member was removed and
 * comes back) that of the later generation continues.
 */
export function groupLife(members: readonly LivingMember[]): string {
  const [eldest] = byAge(members)
  return eldest?.data.life ?? eldest?.id ?? ''
}

/**
 * The secret with which members sign requests to one another. Like the life it is passed on, whoever leads. If no
 * member has one, that of the first newcomer becomes the group's. `undefined` if all members have an earlier version.
 */
export function groupSecret(members: readonly LivingMember[]): string | undefined {
  return byAge(members).find(({ data }) => data.secret !== undefined)?.data.secret
}

/** 128 random bits, as text, because members send it in their data and get it in their assignments. */
export function newSecret(): string {
  return randomBytes(16).toString('base64url')
}

/** Sorts members of the last generation first, then others that were in the group before, then newcomers. */
function byAge(members: readonly LivingMember[]): readonly LivingMember[] {
  return members.toSorted(
    (a, b) =>
      Number(a.data.life === undefined) - Number(b.data.life === undefined) ||
      b.data.generation - a.data.generation ||
      (a.id < b.id ? -1 : 1),
  )
}
