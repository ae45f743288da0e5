import type { GroupAssignor } from '@millrace/core/driver'

/** Members' ids are random. Their workers and the assignor see these names, which the order of joining decides. */
export class MemberNames {
  readonly #names = new Map<string, string>()

  of(memberId: string): string {
    let name = this.#names.get(memberId)
    if (name === undefined) this.#names.set(memberId, (name = `member-${this.#names.size + 1}`))
    return name
  }

  /** `assignor` under these names. */
  assignor(assignor: GroupAssignor): GroupAssignor {
    return {
      name: assignor.name,
      assign: ({ members, partitions }) => {
        const named = members.map((member) => ({ ...member, id: this.of(member.id) }))
        const { assignments, groupData, ownData } = assignor.assign({ members: named, partitions })
        const given = members.map(({ id }) => [id, assignments.get(this.of(id)) ?? []] as const)
        const own = members.map(({ id }) => [id, ownData?.get(this.of(id)) ?? new Uint8Array(0)] as const)
        return { assignments: new Map(given), groupData, ownData: new Map(own) }
      },
    }
  }

  /** Text without random ids. */
  clean(text: string): string {
    let clean = text
    for (const [id, name] of this.#names) clean = clean.replaceAll(id, name)
    return clean
  }
}
