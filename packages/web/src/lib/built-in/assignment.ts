import type { AssignmentView } from '@millrace/core'

/** Who has which task, as `/assignment/` and the page tell it. */
export interface AssignmentAnswer extends Omit<AssignmentView, 'group' | 'members'> {
  /** By task id. */
  readonly group: Readonly<Record<string, { readonly member: string; readonly address: string | undefined }>>
  /** Everybody in the group, also those without a task. No `address`: that worker serves no site. */
  readonly members: readonly { readonly member: string; readonly address: string | undefined }[]
}

export function assignmentAnswer({ group, members, ...rest }: AssignmentView): AssignmentAnswer {
  const known = knownMembers({ group, members })
  return {
    ...rest,
    group: Object.fromEntries(group),
    members: [...known].map(([member, address]) => ({ member, address })),
  }
}

/** The members and where their sites are. A leader of an earlier version tells of those with tasks only. */
export function knownMembers({
  group,
  members,
}: Pick<AssignmentView, 'group' | 'members'>): ReadonlyMap<string, string | undefined> {
  return new Map([...[...group.values()].map(({ member, address }) => [member, address] as const), ...members])
}
