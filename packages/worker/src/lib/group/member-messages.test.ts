// What a worker tells the leader of its group, and what it makes of the answer.
import type { AssignmentChange } from '@millrace/core/driver'
import { describe, expect, test } from 'vitest'
import { countTable } from '../fixtures/count-table.fixture.ts'
import { silentLog, testSettings } from '../fixtures/test-worker.fixture.ts'
import type { BlockingEvent } from '../task/blocking-events.ts'
import { encodeGroupData, type GroupData, memberName, newerGroupFormat, NO_GROUP_DATA } from './group-data.ts'
import { decodeMemberData, type MemberData, topologyStamp } from './member-data.ts'
import { encodeOwnData, NO_OWN_DATA, type OwnData } from './own-data.ts'
import { WorkerMember, type WorkerMemberOptions } from './worker-member.ts'

const [counts, sums] = [countTable('counts'), countTable('sums', undefined, 1)]
const GROUPS = new Map([[4, { topics: ['in'], parts: ['counts', 'sums'], standbys: 2 }]])
const EVENT: BlockingEvent = {
  ...{ subscription: 'a', topic: 'in', partition: 1, offset: 7 },
  ...{ rounds: 1, isSure: false, blockedMs: 900 },
}

interface Site {
  readonly member: WorkerMember
  readonly warnings: { readonly fields: object; readonly message: string }[]
  join(isLeaving?: boolean): MemberData
  assigned(group: Partial<GroupData>, own?: Partial<OwnData>, change?: Partial<AssignmentChange>): AssignedHere
}

type AssignedHere = ReturnType<WorkerMember['assigned']>

function site(change: Partial<WorkerMemberOptions> = {}): Site {
  const warnings: Site['warnings'] = []
  const log = { ...silentLog, warn: (fields: object, message: string) => void warnings.push({ fields, message }) }
  const member = new WorkerMember({
    environment: { log, settings: { ...testSettings, acceptableRecoveryLag: 100, maxWarmUps: 3, rack: 'here' } },
    instanceId: undefined,
    webAddress: () => 'http://here:6066',
    topics: {
      groups: GROUPS,
      statesWith: (partitions) => (partitions === 4 ? [counts, sums] : []),
      copiesOf: ({ standbys }) => standbys ?? 2,
    },
    recovery: {
      // Rows of the last two partitions are on the disk alone.
      absorbed: ({ partition }, inUseOnly) => (inUseOnly && partition >= 2 ? undefined : 10 * partition),
      remaining: () => 0,
    },
    standbys: { report: () => ['4-2'] },
    blockingEvents: { report: (committed) => (committed({ topic: 'in', partition: 1 }) === 5 ? [EVENT] : []) },
    ...change,
  })
  return {
    member,
    warnings,
    join: (isLeaving = false) => {
      const bytes = member.data({ tasks: ['4-0'], committed: () => 5, isLeaving })
      const data = decodeMemberData(bytes)
      if (data === undefined) throw new Error('Nobody can read this.')
      return data
    },
    assigned: (group, own = {}, rest = {}) =>
      member.assigned({
        ...{ memberId: 'me', generation: 3, lost: [], kept: [], gained: [] },
        groupData: encodeGroupData({ ...NO_GROUP_DATA, members: new Map([['me', undefined]]), ...group }),
        ownData: encodeOwnData({ ...NO_OWN_DATA, ...own }),
        ...rest,
      }),
  }
}

describe('at a join a worker tells', () => {
  test('its tasks, the state that it holds, its address, and what it knows of the group', () => {
    const { member, join, assigned } = site({ instanceId: 'pod-1' })
    const first = join()
    expect(first).toEqual({
      groups: GROUPS,
      tasks: ['4-0'],
      generation: 0,
      warm: new Map([
        ['4-0', 0],
        ['4-1', 20],
        ['4-2', 40],
        ['4-3', 60],
      ]),
      warmUp: { acceptableLag: 100, most: 3, caughtUp: ['4-2'] },
      address: 'http://here:6066',
      instanceId: 'pod-1',
      rack: 'here',
      life: undefined,
      secret: expect.stringMatching(/^[\w-]{22}$/),
      blockingEvents: [EVENT],
    })
    expect(join().secret).toBe(first.secret)
    assigned({ life: 'life', secret: 'b'.repeat(22) })
    expect(join()).toMatchObject({ generation: 3, life: 'life', secret: 'b'.repeat(22) })
    // The life of the group goes on without it.
    member.lost()
    expect(join()).toMatchObject({ generation: 3, life: 'life', secret: 'b'.repeat(22) })
    expect(member.group).toEqual({ ...NO_GROUP_DATA, life: 'life', secret: 'b'.repeat(22) })
  })

  test('when it stops: that it leaves, and no copies', () => {
    const { join } = site()
    expect(join()).not.toHaveProperty('isLeaving', true)
    expect(join(true)).toMatchObject({ isLeaving: true, warmUp: { caughtUp: [] } })
  })

  test('after three joins in vain: no rows that are on its disk alone, until it has joined', () => {
    const { join, assigned } = site()
    const held = (): readonly string[] => [...join().warm.keys()]
    const all = ['4-0', '4-1', '4-2', '4-3']
    expect([held(), held(), held(), held(), held()]).toEqual([all, all, all, ['4-0', '4-1'], ['4-0', '4-1']])
    assigned({})
    expect(held()).toEqual(all)
  })

  test('no address, if it has none or that is not known', () => {
    const none = site({ webAddress: undefined })
    expect(none.join().address).toBeUndefined()
    expect(none.warnings).toEqual([])
    const unknown = site({
      webAddress: () => {
        throw new Error('No interface is up.')
      },
    })
    expect(unknown.join().address).toBeUndefined()
    expect(unknown.warnings).toMatchObject([{ fields: { error: 'No interface is up.' } }])
  })
})

test('a name of 24 letters is kept, and a longer one shortened', () => {
  expect(memberName('x'.repeat(24))).toBe('x'.repeat(24))
  expect(memberName('x'.repeat(25))).toMatch(/^~[\da-f]{12}$/)
})

describe('with an assignment a worker', () => {
  test('has a name, a group and a reason, and gets the events that block', () => {
    const { member, warnings, assigned } = site()
    expect([member.name, member.reason, member.rebalances]).toEqual([undefined, '', 0])
    expect(assigned({ life: 'life' }, { blockingEvents: [EVENT] })).toEqual({
      blockingEvents: [EVENT],
      copies: [],
      warmUps: [],
    })
    expect([member.name, member.reason, member.rebalances, member.group.life]).toEqual([
      'me',
      'this worker joined',
      1,
      'life',
    ])
    assigned({ members: new Map([...'me you'.split(' ').map((name) => [name, undefined] as const)]) })
    expect([member.reason, member.rebalances]).toEqual(['a worker joined', 2])
    expect(warnings).toEqual([])
    const named = site({ instanceId: 'pod-1' })
    named.assigned({ members: new Map([['pod-1', undefined]]) })
    expect([named.member.name, named.warnings]).toEqual(['pod-1', []])
  })

  test('keeps copies of tasks that it does not run, and of tables that want so many', () => {
    const { assigned } = site()
    const owner = (member: string) => ({ member, address: undefined })
    const { copies, warmUps } = assigned(
      {
        owners: new Map([
          ['4-0', owner('me')],
          ['4-1', owner('you')],
          ['4-2', owner('you')],
          ['4-3', owner('me')],
        ]),
        warmUps: new Map([
          ['4-2', 'me'],
          ['4-3', 'me'],
          ['4-1', 'you'],
        ]),
      },
      {
        standbys: new Map([
          ['4-0', 0],
          ['4-1', 1],
          ['nothing', 0],
          ['5-0', 0],
        ]),
      },
    )
    expect(warmUps).toEqual(['4-2'])
    expect(copies).toEqual([
      // The second copy of a table that wants one is elsewhere.
      { task: '4-1', definition: counts, partition: 1 },
      { task: '4-2', definition: counts, partition: 2 },
      { task: '4-2', definition: sums, partition: 2 },
    ])
    // A task of nobody has copies too; the first one is of all tables.
    expect(assigned({}, { standbys: new Map([['4-1', 0]]) }).copies.map(({ definition }) => definition)).toEqual([
      counts,
      sums,
    ])
  })

  test('says which version it does not understand, or is not understood by', () => {
    const later = site()
    later.assigned({}, {}, { groupData: Buffer.from([9, 1, 2]) })
    expect(later.warnings).toMatchObject([{ fields: { format: 9 }, message: /later version/ }])
    const earlier = site()
    earlier.assigned({ members: new Map([['you', undefined]]) })
    expect(earlier.warnings).toMatchObject([{ message: /earlier version/ }])
    expect([newerGroupFormat(Buffer.from('{}')), newerGroupFormat(new Uint8Array(0))]).toEqual([undefined, undefined])
    const unknown = site()
    unknown.assigned({ members: new Map() })
    expect(unknown.warnings).toEqual([])
  })
})

describe('a static member asks for a rebalance', () => {
  /** An assignment that was made for this topology and address. */
  const madeFor = (stamp: string, address: string | undefined): Partial<GroupData> => ({
    members: new Map([['pod-1', address]]),
    stamps: new Map([['pod-1', stamp]]),
  })
  const here = topologyStamp(GROUPS)

  test.each([
    { why: 'not, if the group knows it as it is', group: madeFor(here, 'http://here:6066'), asks: false },
    { why: 'if it has other topics now', group: madeFor('abcdefgh', 'http://here:6066'), asks: true },
    { why: 'if it has another address now', group: madeFor(here, 'http://there:6066'), asks: true },
    { why: 'not, if the leader sends no stamps', group: { members: new Map([['pod-1', undefined]]) }, asks: false },
  ])('$why', ({ group, asks }) => {
    const { member, join, assigned } = site({ instanceId: 'pod-1' })
    assigned(group)
    expect(member.asksToBeNoted()).toBe(false)
    join()
    assigned(group)
    expect(member.asksToBeNoted()).toBe(asks)
  })

  test('at most three times in a row', () => {
    const { member, join, assigned } = site({ instanceId: 'pod-1' })
    join()
    assigned(madeFor('abcdefgh', undefined))
    const ask = (): boolean => member.asksToBeNoted()
    expect([ask(), ask(), ask(), ask(), ask()]).toEqual([true, true, true, false, false])
    assigned(madeFor(here, 'http://here:6066'))
    expect(ask()).toBe(false)
    assigned(madeFor('abcdefgh', undefined))
    expect([ask(), ask(), ask(), ask()]).toEqual([true, true, true, false])
  })

  test('and no other member does', () => {
    const { member, join, assigned } = site()
    join()
    assigned({ stamps: new Map([['me', 'abcdefgh']]) })
    expect(member.asksToBeNoted()).toBe(false)
  })
})
