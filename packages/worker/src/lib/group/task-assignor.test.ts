import { expect, test } from 'vitest'
import { decodeGroupData } from './group-data.ts'
import { decodeMemberData, encodeMemberData, type MemberData } from './member-data.ts'
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

test('partitions of one task go to one member, with addresses for all', () => {
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

test('members that get no task are told of, with their addresses', () => {
  const idle = (address: string): Uint8Array => encodeMemberData({ ...data, tasks: [], address })
  const { groupData } = taskAssignor.assign({
    members: [
      {
        id: 'one',
        topics: ['c'],
        data: encodeMemberData({ ...data, groups: new Map([[1, { topics: ['c'], parts: [] }]]) }),
      },
      { id: 'two', topics: [], data: encodeMemberData({ ...data, groups: new Map(), tasks: [], address: undefined }) },
      { id: 'three', topics: [], data: idle('three:6066') },
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

test('member data survives the way there, and of another format is nothing', () => {
  expect(decodeMemberData(encodeMemberData(data))).toEqual(data)
  const { warmUp: _, ...earlier } = data
  expect(decodeMemberData(encodeMemberData(earlier))).toEqual(earlier)
  expect(decodeMemberData(Buffer.from('{"v":2}'))).toBeUndefined()
  expect(decodeGroupData(Buffer.from('{"v":2}')).owners.size).toBe(0)
})

test('static members are told by their names whose tasks they warm up for', () => {
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
