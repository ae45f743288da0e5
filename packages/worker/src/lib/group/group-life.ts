import { randomBytes } from 'node:crypto'
import type { MemberData } from './member-data.ts'

type LivingMember = { readonly id: string; readonly data: Pick<MemberData, 'life' | 'generation' | 'secret'> }

/**
 * The life of a group lasts from its first member to its last one: whoever was in the group before passes it on, and only
 * a group of newcomers begins a new one, named after one of them. Of two lives (a member that was thrown out and comes
 * back) the one of the later generation goes on.
 */
export function groupLife(members: readonly LivingMember[]): string {
  const [eldest] = byAge(members)
  return eldest?.data.life ?? eldest?.id ?? ''
}

/**
 * What members sign requests to one another with. It goes on like the life does, whoever leads: only where nobody has
 * one does the first of the newcomers' become the group's. `undefined` when all members are of an earlier version.
 */
export function groupSecret(members: readonly LivingMember[]): string | undefined {
  return byAge(members).find(({ data }) => data.secret !== undefined)?.data.secret
}

/** 128 random bits, as text: every member has it in its data and in its assignment. */
export function newSecret(): string {
  return randomBytes(16).toString('base64url')
}

/** Those that were in the group before come first, the ones of the last generation among them, then the newcomers. */
function byAge(members: readonly LivingMember[]): readonly LivingMember[] {
  return members.toSorted(
    (a, b) =>
      Number(a.data.life === undefined) - Number(b.data.life === undefined) ||
      b.data.generation - a.data.generation ||
      compare(a.id, b.id),
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
