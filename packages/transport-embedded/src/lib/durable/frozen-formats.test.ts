// Rows that versions have written, read by this one. Add those of new formats, and change none.
import { expect, test } from 'vitest'
import { decodeRow } from './batch-row.ts'
import { decodeGroup } from './group-row.ts'

test('a batch of records, format 2', () => {
  const row = Buffer.from(
    '0200000005f91a010200000003000000000018b878ac7942000000000080d9b778ac794201000000ffffffff020000006b0100000001000000687601000000ffffffff6e0200000000c0f8b778ac7942ffffffff050000000000000076616c7565',
    'hex',
  )
  expect(decodeRow(row, { topic: 1, partition: 0, base: 40 })).toEqual({
    span: 3,
    appendedAt: 1764284400000,
    bytes: 9,
    records: [
      {
        offset: 40,
        timestamp: 1764284399000,
        key: Buffer.from('k'),
        value: null,
        headers: [
          ['h', Buffer.from('v')],
          ['n', null],
        ],
      },
      { offset: 42, timestamp: 1764284399500, key: null, value: Buffer.from('value'), headers: [] },
    ],
  })
})

test.each(['', ',"ownData":[["m1","e30="]],"later":1'])('the state of a group, with further fields %s', (further) => {
  const row = `{"generation":2,"phase":"stable","protocol":"millrace-1","leader":"m1","members":[["m1",{"instanceId":"pod-1","topics":["words"],"data":"eyJ2IjoxfQ==","joined":true,"host":"here/1","sessionTimeoutMs":10000,"rebalanceTimeoutMs":60000}]],"assignments":[["m1",[{"topic":"words","partition":0}]]],"groupData":"AgE="${further}}`
  expect(decodeGroup(Buffer.from(row))).toMatchObject({
    generation: 2,
    phase: 'stable',
    leader: 'm1',
    members: new Map([
      [
        'm1',
        {
          instanceId: 'pod-1',
          topics: ['words'],
          data: Buffer.from('{"v":1}'),
          joined: true,
          host: 'here/1',
          sessionTimeoutMs: 10000,
          rebalanceTimeoutMs: 60000,
        },
      ],
    ]),
    assignments: new Map([['m1', [{ topic: 'words', partition: 0 }]]]),
    groupData: Buffer.from([2, 1]),
    ownData: new Map(further === '' ? [] : [['m1', Buffer.from('{}')]]),
  })
})
