/** A member in its generation, as requests of the group name it. */
export interface Membership {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly instanceId: string | undefined
}
