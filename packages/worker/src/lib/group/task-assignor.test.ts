import type { GroupMember } from '@millrace/core/driver'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MOST_BLOCKING_EVENTS } from '../task/blocking-events.ts'
import { decodeGroupData, encodeGroupData, memberName, NO_GROUP_DATA } from './group-data.ts'
import { newSecret } from './group-life.ts'
import { decodeMemberData, encodeMemberData, type MemberData } from './member-data.ts'
import { decodeOwnData, encodeOwnData, NO_OWN_DATA } from './own-data.ts'
import { taskAssignor } from './task-assignor.ts'

const data: MemberData = {
  groups: new Map([
    [2, { topics: ['a', 'b'], parts: ['counts'] }],
    [1, { topics: ['c'], parts: [] }],
  ]),
  tasks: ['2-0'],
  generation: 3,
  warm: new Map([['1-0', 12]]),
  warmUp: { acceptableLag: 100, most: 2, caughtUp: ['1-0'] },
  address: 'http://one:6066',
  life: undefined,
}

test('partitions of one task go to one member, and every member gets all addresses', () => {
  const { assignments, groupData } = taskAssignor.assign({
    members: [
      { id: 'one', topics: ['a', 'b', 'c'], data: encodeMemberData(data) },
      { id: 'two', topics: ['a', 'b', 'c'], data: encodeMemberData({ ...data, tasks: [], address: undefined }) },
      { id: 'stranger', topics: ['a'], data: Buffer.from('?') },
    ],
    partitions: new Map([
      ['a', 2],
      ['b', 2],
      ['c', 1],
    ]),
  })
  const group = decodeGroupData(groupData)
  expect(group.owners.get('2-0')).toEqual({ member: 'one', address: 'http://one:6066' })
  expect([...group.owners.keys()].sort()).toEqual(['1-0', '2-0', '2-1'])
  expect(assignments.get('one')?.filter(({ topic }) => topic !== 'c')).toEqual([
    { topic: 'a', partition: 0 },
    { topic: 'b', partition: 0 },
  ])
  expect([...assignments.values()].flat().length).toBe(5)
  expect(assignments.has('stranger')).toBe(false)
})

test('members without a task are listed with their addresses', () => {
  const idle = (address: string): Uint8Array => encodeMemberData({ ...data, tasks: [], address })
  const { groupData } = taskAssignor.assign({
    members: [
      {
        id: 'one',
        topics: ['c'],
        data: encodeMemberData({ ...data, groups: new Map([[1, { topics: ['c'], parts: [] }]]) }),
      },
      { id: 'two', topics: [], data: encodeMemberData({ ...data, groups: new Map(), tasks: [], address: undefined }) },
      { id: 'three', topics: ['a', 'b', 'c'], data: idle('three:6066') },
    ],
    partitions: new Map([['c', 1]]),
  })
  const { members } = decodeGroupData(groupData)
  expect(new Map([...members].sort())).toEqual(
    new Map([
      ['one', 'http://one:6066'],
      ['three', 'three:6066'],
      ['two', undefined],
    ]),
  )
})

test('member data survives encoding, and data of another format decodes to nothing', () => {
  expect(decodeMemberData(encodeMemberData(data))).toEqual(data)
  const { warmUp: _, ...earlier } = data
  expect(decodeMemberData(encodeMemberData(earlier))).toEqual(earlier)
  expect(decodeMemberData(Buffer.from('{"v":2}'))).toBeUndefined()
})

test('warm-ups name static members by their instance ids', () => {
  const groups = new Map([[1, { topics: ['c'], parts: ['counts'] }]])
  const two = new Map([
    [1, { topics: ['c'], parts: ['counts'] }],
    [2, { topics: ['a'], parts: ['counts'] }],
  ])
  const owner = {
    ...data,
    groups: two,
    tasks: ['1-0', '2-0', '2-1'],
    warm: new Map([
      ['1-0', 0],
      ['2-0', 500],
      ['2-1', 600],
    ]),
  }
  const comer = {
    ...owner,
    tasks: [],
    warm: new Map(),
    warmUp: { acceptableLag: 100, most: 1, caughtUp: [] },
    instanceId: 'pod-1',
  }
  const { groupData } = taskAssignor.assign({
    members: [
      { id: 'one', topics: ['a', 'c'], data: encodeMemberData(owner) },
      { id: 'two', topics: ['a', 'c'], data: encodeMemberData({ ...comer, groups: two }) },
      { id: 'three', topics: ['c'], data: encodeMemberData({ ...comer, groups, instanceId: 'pod-2' }) },
    ],
    partitions: new Map([
      ['a', 2],
      ['c', 1],
    ]),
  })
  const group = decodeGroupData(groupData)
  expect([...group.owners].map(([id, { member }]) => [id, member]).toSorted()).toEqual([
    ['1-0', 'pod-2'],
    ['2-0', 'one'],
    ['2-1', 'one'],
  ])
  expect(group.warmUps).toEqual(new Map([['2-0', 'pod-1']]))
})

const blockingEvent = {
  subscription: 'agent',
  topic: 'a',
  partition: 1,
  offset: 7,
  rounds: 1,
  isSure: true,
  blockedMs: 30_000,
}

const partitions = new Map([
  ['a', 2],
  ['b', 2],
  ['c', 1],
])

test('impossible member data is ignored: null, other types, wrong partition counts, unsubscribed topics', () => {
  const json = JSON.parse(Buffer.from(encodeMemberData(data)).toString())
  const topology = { topics: ['a'], parts: [] }
  const forged: readonly unknown[] = [
    null,
    [],
    7,
    'text',
    { v: 1 },
    { ...json, v: 2 },
    { ...json, groups: null },
    { ...json, groups: { 2: { topics: 'ab', parts: [] } } },
    { ...json, groups: { 2: null } },
    { ...json, groups: { '-1': topology } },
    { ...json, groups: { 1.5: topology } },
    { ...json, groups: { 1000000000: topology } },
    { ...json, groups: { 900000: topology } },
    { ...json, groups: { 2: { topics: [], parts: ['counts'] } } },
    { ...json, groups: { 2: { topics: ['a', 'secret'], parts: [] } } },
    { ...json, groups: { 2: { topics: ['a', 'a', 'a'], parts: ['counts'] } } },
    { ...json, groups: { 2: { topics: ['a', 'b', 'c'], parts: ['counts'] } } },
    { ...json, groups: { 1: { topics: ['a', 'c'], parts: [] } } },
    { ...json, tasks: { length: 1e9 } },
    { ...json, tasks: [null] },
    { ...json, generation: '9' },
    { ...json, generation: 1e300 },
    { ...json, warm: { '2-0': 'all' } },
    { ...json, warmUp: { acceptableLag: -1, most: 2, caughtUp: [] } },
    { ...json, warmUp: 'soon' },
    { ...json, address: { host: 'one' } },
    { ...json, address: 'a'.repeat(100_000) },
    { ...json, instanceId: 7 },
    { ...json, life: [] },
    { ...json, secret: 'short' },
    { ...json, secret: 7 },
    { ...json, suspects: [{ topic: 'a' }] },
    { ...json, suspects: Array.from({ length: 1000 }, () => blockingEvent) },
  ]
  for (const one of forged) {
    const members = [
      { id: 'honest', topics: ['a', 'b', 'c'], data: encodeMemberData(data) },
      { id: 'forger', topics: ['a', 'b', 'c'], data: Buffer.from(JSON.stringify(one)) },
    ]
    const { assignments, groupData } = taskAssignor.assign({ members, partitions })
    expect(assignments.get('forger')).toBeUndefined()
    expect(assignments.get('honest')?.length).toBe(5)
    expect(decodeGroupData(groupData).owners.size).toBe(3)
  }
})

/** Bytes of every kind: noise, JSON of any shape, and valid data with one fault. */
const anyBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.json().map((text) => Buffer.from(text)),
  fc
    .tuple(
      fc.constantFrom(
        'v',
        'groups',
        'tasks',
        'generation',
        'warm',
        'warmUp',
        'address',
        'instanceId',
        'life',
        'secret',
        'suspects',
      ),
      fc.jsonValue(),
    )
    .map(([field, value]) =>
      Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(encodeMemberData(data)).toString()), [field]: value })),
    ),
  fc.tuple(fc.nat(), fc.nat({ max: 255 })).map(([at, byte]) => {
    const bytes = Buffer.from(encodeMemberData(data))
    bytes[at % bytes.length] = byte
    return bytes
  }),
)

test('planning succeeds with any bytes from any member, and all tasks go to members with valid data', () => {
  fc.assert(
    fc.property(fc.array(anyBytes, { minLength: 1, maxLength: 4 }), fc.nat({ max: 4 }), (strangers, at) => {
      const members: GroupMember[] = strangers.map((bytes, nth) => ({
        id: `s${nth}`,
        topics: ['a', 'b', 'c'],
        data: bytes,
      }))
      members.splice(at, 0, { id: 'honest', topics: ['a', 'b', 'c'], data: encodeMemberData(data) })
      const { assignments, groupData } = taskAssignor.assign({ members, partitions })
      const given = [...assignments.values()].flat().map(({ topic, partition }) => `${topic}/${partition}`)
      expect(given.toSorted()).toEqual(['a/0', 'a/1', 'b/0', 'b/1', 'c/0'])
      for (const { id, data: told } of members)
        if (decodeMemberData(told) === undefined) expect(assignments.get(id)).toBeUndefined()
      const { owners, members: all } = decodeGroupData(groupData)
      expect(owners.size).toBe(3)
      expect(all.has('honest')).toBe(true)
    }),
    { numRuns: 1000 },
  )
})

test('arbitrary bytes from a leader are ignored by a member, and do no harm', () => {
  const groupBytes = fc.oneof(
    anyBytes,
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.concat([Buffer.from([2]), bytes])),
    fc.tuple(fc.nat(), fc.nat({ max: 255 })).map(([at, byte]) => {
      const bytes = Buffer.from(encodeGroupData({ ...NO_GROUP_DATA, members: new Map([['one', 'http://one']]) }))
      bytes[1 + (at % (bytes.length - 1))] = byte
      return bytes
    }),
  )
  fc.assert(
    fc.property(groupBytes, (bytes) => {
      expect(decodeGroupData(bytes).owners.size).toBe(0)
      expect(decodeOwnData(bytes).standbys.size).toBe(0)
    }),
    { numRuns: 1000 },
  )
})

test('group data with more than 255 members survives encoding', () => {
  const names = Array.from({ length: 300 }, (_, at) => `m${at}`)
  const address = (at: number): string | undefined => (at % 3 === 0 ? undefined : `http://host-${at}`)
  const group = {
    owners: new Map(
      names.flatMap((member, at) => (at % 7 === 0 ? [] : [[`300-${at}`, { member, address: address(at) }] as const])),
    ),
    members: new Map(names.map((name, at) => [name, address(at)])),
    warmUps: new Map([['300-7', 'm299']]),
    unassigned: ['300-0', '300-9'],
    stamps: new Map([['m1', 'abc']]),
    life: 'm0',
    secret: newSecret(),
  }
  expect(decodeGroupData(encodeGroupData(group))).toEqual(group)
  expect(decodeGroupData(encodeGroupData(NO_GROUP_DATA))).toEqual(NO_GROUP_DATA)
  const own = {
    blockingEvents: [],
    standbys: new Map([
      ['300-1', 0],
      ['300-2', 1],
    ]),
  }
  expect(decodeOwnData(encodeOwnData(own))).toEqual(own)
  expect(decodeOwnData(new Uint8Array(0))).toEqual(NO_OWN_DATA)
})

test("the task owners of a previous version's leader are understood; a later format is ignored", () => {
  const id = 'shop-0b7e5a44-1f0e-4c2d-8a51-9f0c3d2b1a00'
  const before = {
    v: 1,
    members: [
      { id, address: 'http://one', tasks: ['2-0'] },
      { id: 'two', tasks: ['2-1'] },
    ],
    standbys: { '2-0': ['two'] },
    warmUps: { '2-1': id },
    unassigned: ['3-0'],
    life: 'one',
  }
  expect(decodeGroupData(Buffer.from(JSON.stringify(before)))).toEqual({
    ...NO_GROUP_DATA,
    owners: new Map([
      ['2-0', { member: memberName(id), address: 'http://one' }],
      ['2-1', { member: 'two', address: undefined }],
    ]),
    members: new Map([
      [memberName(id), 'http://one'],
      ['two', undefined],
    ]),
    unassigned: ['3-0'],
    life: 'one',
  })
  expect(decodeGroupData(Buffer.from(JSON.stringify({ ...before, v: 3 })))).toEqual(NO_GROUP_DATA)
  expect(decodeGroupData(Buffer.from([3, 1, 2, 3]))).toEqual(NO_GROUP_DATA)
})

test('long names are shortened, and remain distinct', () => {
  const ids = ['shop-0b7e5a44-1f0e-4c2d-8a51-9f0c3d2b1a00', 'shop-0b7e5a44-1f0e-4c2d-8a51-9f0c3d2b1a01']
  expect(ids.map(memberName)).toEqual(['~9f0c3d2b1a00', '~9f0c3d2b1a01'])
  expect(memberName('worker-7')).toBe('worker-7')
  const pods = ['shop-in-production-eu-west-1-a-pod-0', 'shop-in-production-eu-west-1-b-pod-0'].map(memberName)
  expect(new Set(pods).size).toBe(2)
  for (const name of pods) expect(name.length).toBe(13)
})

test('a member that uses the name of another gets its own tasks only', () => {
  const named = (id: string): GroupMember => ({
    id,
    topics: ['a', 'b', 'c'],
    data: encodeMemberData({ ...data, tasks: [], instanceId: 'pod-1' }),
  })
  const { groupData } = taskAssignor.assign({ members: [named('one'), named('two')], partitions })
  expect([...decodeGroupData(groupData).members.keys()]).toEqual(['pod-1', 'two'])
})

test('only the owner of a partition learns which of its events may block the event loop', () => {
  const told = { ...data, blockingEvents: [blockingEvent, { ...blockingEvent, topic: 'elsewhere' }] }
  const member = (id: string, own: Partial<MemberData>): GroupMember => ({
    id,
    topics: ['a', 'b', 'c'],
    data: encodeMemberData({ ...told, blockingEvents: [], ...own }),
  })
  const { assignments, ownData } = taskAssignor.assign({
    members: [
      member('one', { blockingEvents: told.blockingEvents, tasks: ['2-0', '1-0'] }),
      member('two', { tasks: ['2-1'], blockingEvents: [] }),
      member('three', { tasks: [], warm: new Map() }),
    ],
    partitions,
  })
  expect(assignments.get('two')).toContainEqual({ topic: 'a', partition: 1 })
  const blockingEventsOf = (id: string): unknown => decodeOwnData(ownData?.get(id) ?? new Uint8Array(0)).blockingEvents
  expect(['one', 'two', 'three'].map(blockingEventsOf)).toEqual([[], [blockingEvent], []])
})

test('a member gets no more blockingEvents of its partitions than are kept', () => {
  const blockingEvents = Array.from({ length: MOST_BLOCKING_EVENTS + 1 }, (_, offset) => ({ ...blockingEvent, offset }))
  const told = decodeOwnData(encodeOwnData({ standbys: new Map([['2-0', 1]]), blockingEvents }))
  expect(told).toEqual({
    standbys: new Map([['2-0', 1]]),
    blockingEvents: blockingEvents.slice(0, MOST_BLOCKING_EVENTS),
  })
})
