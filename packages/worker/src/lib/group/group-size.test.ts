import { createHash } from 'node:crypto'
import type { GroupMember, GroupView } from '@millrace/core/driver'
import { expect, test } from 'vitest'
import { taskId } from '../environment/task-id.ts'
import { decodeGroupData, memberName } from './group-data.ts'
import { newSecret } from './group-life.ts'
import { encodeMemberData, type MemberData } from './member-data.ts'
import type { TaskTopology } from '../topics/topic-directory.ts'
import { decodeOwnData } from './own-data.ts'
import { taskAssignor } from './task-assignor.ts'

const TASKS = 1000
const MEMBERS = 200
const TOPICS = ['orders', 'payments', 'shop-orders-by-customer-repartition']
/** The default `message.max.bytes` of a broker: everything known of a group is one record. */
const BROKER_TAKES = 1_048_588

const topology = { topics: TOPICS, parts: ['order-totals', 'customers', 'open-payments'], standbys: 2 }

function data(
  at: number,
  { tasks, copies }: { readonly tasks: readonly string[]; readonly copies: readonly string[] },
): MemberData {
  return {
    groups: new Map<number, TaskTopology>([
      [TASKS, topology],
      [1, { topics: ['shop-__assignor-__leader'], parts: [] }],
    ]),
    tasks,
    generation: 17,
    warm: new Map([...tasks, ...copies].map((task) => [task, 1_234_567])),
    warmUp: { acceptableLag: 10_000, most: 16, caughtUp: copies },
    address: `http://10.${(at * 7) % 256}.${(at * 13) % 256}.${(at * 31) % 256}:6066`,
    life: `shop-${uuid(`life ${at}`)}`,
    secret: newSecret(),
  }
}

/** As incompressible as a random one, but the same in each run. */
function uuid(of: string): string {
  return createHash('md5')
    .update(of)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** One round of the group, with the size of the broker's record for it. */
function round(members: readonly GroupMember[]) {
  const view: GroupView = {
    members,
    partitions: new Map([...TOPICS.map((topic) => [topic, TASKS] as const), ['shop-__assignor-__leader', 1]]),
  }
  const { assignments, groupData, ownData } = taskAssignor.assign(view)
  const group = decodeGroupData(groupData)
  const bytes = members.reduce((sum, { id, data: told, topics }) => {
    const given = assignments.get(id) ?? []
    const names = topics.reduce((length, topic) => length + topic.length + 8, 0)
    // Each member counts with its id, its client's id and address, time-outs, its subscription and its assignment.
    return (
      sum +
      id.length +
      60 +
      names +
      told.length +
      names +
      4 * given.length +
      groupData.length +
      (ownData?.get(id)?.length ?? 0)
    )
  }, 0)
  return { assignments, ownData, group, bytes }
}

test('1,000 tasks on 200 members with two standbys fit into one record of the broker', () => {
  const topics = [...TOPICS, 'shop-__assignor-__leader']
  const ids = Array.from({ length: MEMBERS }, (_, at) => `shop-${uuid(`id ${at}`)}`)
  // The owners of tasks are in disorder, as after many rebalances.
  const inDisorder = (seed: number): readonly string[][] => {
    const order = Array.from({ length: TASKS }, (_, partition) => ({
      task: taskId(TASKS, partition),
      at: createHash('md5').update(`${seed} ${partition}`).digest('hex'),
    })).toSorted((a, b) => (a.at < b.at ? -1 : 1))
    return ids.map((_, at) => order.flatMap(({ task }, nth) => (nth % MEMBERS === at ? [task] : [])))
  }
  const [running, first, second] = [inDisorder(1), inDisorder(2), inDisorder(3)]
  const { group, ownData, bytes } = round(
    ids.map((id, at) => {
      const copies = [...(first[at] ?? []), ...(second[at] ?? [])]
      return { id, topics, data: encodeMemberData(data(at, { tasks: running[at] ?? [], copies })) }
    }),
  )
  expect(bytes).toBeLessThan(0.93 * BROKER_TAKES)
  expect(group.members.size).toBe(MEMBERS)
  ids.forEach((id, at) => {
    for (const task of running[at] ?? []) expect(group.owners.get(task)?.member).toBe(memberName(id))
  })
  const standbys = ids.map((id) => [...decodeOwnData(ownData?.get(id) ?? new Uint8Array(0)).standbys.keys()])
  expect(standbys.flat().length).toBe(2 * TASKS)
})
