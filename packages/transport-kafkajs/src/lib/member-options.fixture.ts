import type { ConsumerOptions, GroupAssignor } from '@millrace/core/driver'

/** A dynamic member of a group named after its topic, which does nothing in rebalances. */
export function memberOptions(topic: string, assign: GroupAssignor['assign']): ConsumerOptions {
  return {
    groupId: topic,
    topics: [topic],
    instanceId: undefined,
    assignor: { name: 'test', assign },
    memberData: () => Buffer.alloc(0),
    sessionTimeoutMs: 6_000,
    rebalanceTimeoutMs: 10_000,
    heartbeatIntervalMs: 200,
    isolation: 'read-committed',
    maxPartitionBytes: 100_000,
    listener: { onRevoke: async () => {}, onAssign: async () => {}, onLost: async () => {} },
  }
}
