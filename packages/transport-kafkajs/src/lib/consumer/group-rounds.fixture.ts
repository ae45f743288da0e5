import { deferred } from '@millrace/core'
import type { AssignmentChange, ConsumerOptions } from '@millrace/core/driver'
import { memberOptions } from '../member-options.fixture.ts'
import { joined, ScriptedCluster, synced } from '../scripted-cluster.fixture.ts'
import { KafkaConsumer } from './kafka-consumer.ts'

/** Of a rebalance: which generation this member joins, and the partitions of topic `t` that it is given in it. */
export type Round = readonly [generation: number, ...partitions: number[]]

export interface Followed {
  readonly broker: ScriptedCluster
  readonly consumer: KafkaConsumer
  /** What the listener was told, in order. */
  readonly told: (AssignmentChange | 'revoke' | 'lost')[]
  /** The next round, from the join to the end of `onAssign`. */
  round(): Promise<void>
}

/** A member of a cluster that gives it these rounds, one after another, and that has not been started. */
export function member(
  rounds: readonly Round[],
  {
    listener = {},
    nodes = 1,
    ...options
  }: Partial<Omit<ConsumerOptions, 'listener'>> & {
    readonly listener?: Partial<ConsumerOptions['listener']>
    readonly nodes?: number
  } = {},
): Followed {
  const left = [...rounds]
  let now: Round = [0]
  const broker = new ScriptedCluster(
    { t: 2 },
    {
      JoinGroup: () => {
        now = left.shift() ?? now
        return joined(now[0])
      },
      SyncGroup: () => synced(now.slice(1).map((partition) => ({ topic: 't', partition }))),
    },
    { nodes },
  )
  const told: Followed['told'] = []
  let assigned = deferred<void>()
  const consumer = new KafkaConsumer(
    {
      ...memberOptions('t', () => ({ assignments: new Map(), groupData: Buffer.alloc(0) })),
      ...options,
      listener: {
        onRevoke: async () => {
          told.push('revoke')
          await listener.onRevoke?.()
        },
        onAssign: async (change) => {
          told.push(change)
          await listener.onAssign?.(change)
          assigned.resolve()
        },
        onLost: async () => {
          told.push('lost')
          await listener.onLost?.()
        },
      },
    },
    broker.context,
  )
  return {
    broker,
    consumer,
    told,
    round: async () => {
      assigned = deferred()
      consumer.rejoin()
      await assigned.promise
    },
  }
}

/** The same, after the first of its rounds. */
export async function follow(...args: Parameters<typeof member>): Promise<Followed> {
  const followed = member(...args)
  await followed.consumer.start()
  return followed
}
