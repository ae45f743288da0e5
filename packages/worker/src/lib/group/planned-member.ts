import type { MemberData } from './member-data.ts'

/** A member of the group, as whoever plans the assignment sees it. */
export interface PlannedMember {
  readonly id: string
  readonly data: MemberData
}
