import { partitionKey, type TopicPartition } from '@millrace/core'
import type { GroupAssignor } from '@millrace/core/driver'

/** The data that a member of the suite sends when it joins. */
export interface TestMemberData {
  readonly label: string
  /** The partitions that it has, as `topic/partition`. */
  readonly held: readonly string[]
}

export function encodeMemberData(data: TestMemberData): Uint8Array {
  return Buffer.from(JSON.stringify(data))
}

/**
 * Assigns even shares, and lets owners keep their partitions within their share. The group data is the sorted list of
 * all members' labels, as JSON; the own data of a member is its label.
 */
export function testAssignor(name: string = 'conformance'): GroupAssignor {
  return {
    name,
    assign: ({ members, partitions }) => {
      const free = new Map<string, TopicPartition>()
      for (const [topic, count] of partitions) {
        for (let partition = 0; partition < count; partition++)
          free.set(partitionKey({ topic, partition }), { topic, partition })
      }
      const said = members.map(({ id, data }) => ({ id, ...decode(data) }))
      const share = Math.ceil(free.size / members.length)
      const assignments = new Map<string, TopicPartition[]>()
      for (const { id, held } of said) {
        const kept = held.flatMap((key) => free.get(key) ?? []).slice(0, share)
        for (const partition of kept) free.delete(partitionKey(partition))
        assignments.set(id, kept)
      }
      for (const partition of free.values()) {
        const [least] = [...assignments.values()].sort((a, b) => a.length - b.length)
        least?.push(partition)
      }
      return {
        assignments,
        groupData: Buffer.from(JSON.stringify(said.map(({ label }) => label).sort())),
        ownData: new Map(said.map(({ id, label }) => [id, Buffer.from(label)])),
      }
    },
  }
}

function decode(data: Uint8Array): TestMemberData {
  const parsed: unknown = JSON.parse(Buffer.from(data).toString())
  const held = isRecord(parsed) && Array.isArray(parsed['held']) ? parsed['held'].map(String) : []
  return { label: isRecord(parsed) ? String(parsed['label']) : '', held }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
