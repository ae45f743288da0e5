import type { MemberData } from './member-data.ts'

/**
 * The life of a group lasts from its first member to its last one: whoever was in the group before passes it on, and only
 * a group of newcomers begins a new one, named after one of them. Of two lives (a member that was thrown out and comes
 * back) the one of the later generation goes on.
 */
export function groupLife(
  members: readonly { readonly id: string; readonly data: Pick<MemberData, 'life' | 'generation'> }[],
): string {
  const older = members
    .filter(({ data }) => data.life !== undefined)
    .toSorted((a, b) => b.data.generation - a.data.generation || compare(a.id, b.id))
  const [newcomer] = members.map(({ id }) => id).toSorted(compare)
  return older[0]?.data.life ?? newcomer ?? ''
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
