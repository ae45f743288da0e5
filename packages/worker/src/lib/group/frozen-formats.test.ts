// Bytes that earlier versions have written, read by this one. Add those of new versions, and never change one.
import { systemClock } from '@millrace/core'
import type { Consumer, ConsumerOptions } from '@millrace/core/driver'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { outgoing, Outside, runWorker, silentLog } from '../fixtures/test-worker.fixture.ts'
import { committedSends, decodeCommitMetadata, parseSend } from '../records/commit-metadata.ts'
import { withPages } from '../records/progress-pages.ts'
import { decodeGroupData, NO_GROUP_DATA } from './group-data.ts'
import { decodeMemberData, encodeMemberData } from './member-data.ts'
import { decodeOwnData } from './own-data.ts'

const BLOCKING_EVENT = { subscription: 'count', topic: 'words', partition: 1, offset: 7, rounds: 2, blockedMs: 3000 }
const MEMBER =
  '{"v":1,"groups":{"2":{"topics":["words"],"parts":["counts"],"standbys":1}},"tasks":["2-0"],"generation":3,"warm":{"2-0":500},"warmUp":{"acceptableLag":100,"most":2,"caughtUp":["2-1"]},"address":"http://one:6066","instanceId":"pod-1","life":"pod-1","suspects":[{"subscription":"count","topic":"words","partition":1,"offset":7,"rounds":2,"blockedMs":3000,"isSure":true}]'
const GROUP =
  'Ahu6AICcB3aMYC17xBwMUS4BWGKTJWDPoHPkx1858WFE6dYiMFt7dXLA/v0SSJ6GcS4lXFA3nNQPKx29Mit4gBuS4TxaKkH8sReNblUtKyGQhcoqne/p2LvECedAKJ+32k61qm7arh/GBNZtaWyHohJJH0YDFipjDkfSnM78kBBSaWOdD7Gqm7brh3GalxWfvpYF'

test('member data 1, with a field of a later version in it', () => {
  expect(decodeMemberData(Buffer.from(`${MEMBER},"later":{"field":1}}`))).toEqual({
    groups: new Map([[2, { topics: ['words'], parts: ['counts'], standbys: 1 }]]),
    tasks: ['2-0'],
    generation: 3,
    warm: new Map([['2-0', 500]]),
    warmUp: { acceptableLag: 100, most: 2, caughtUp: ['2-1'] },
    address: 'http://one:6066',
    instanceId: 'pod-1',
    life: 'pod-1',
    blockingEvents: [{ ...BLOCKING_EVENT, isSure: true }],
  })
})

test('group data 2', () => {
  expect(decodeGroupData(Buffer.from(GROUP, 'base64'))).toEqual({
    ...NO_GROUP_DATA,
    owners: new Map([
      ['2-0', { member: 'pod-1', address: 'http://one:6066' }],
      ['2-1', { member: '~9f0c3d2b1a00', address: undefined }],
    ]),
    members: new Map([
      ['pod-1', 'http://one:6066'],
      ['~9f0c3d2b1a00', undefined],
    ]),
    warmUps: new Map([['2-1', 'pod-1']]),
    unassigned: ['2-1'],
    stamps: new Map([['pod-1', 'abcdefgh']]),
    life: 'pod-1',
    secret: '0123456789abcdefghijkl',
  })
})

test('own data 1, with a field of a later version in it', () => {
  const own =
    '{"v":1,"standbys":{"2-0":0,"2-1":1},"suspects":[{"subscription":"count","topic":"words","partition":1,"offset":7,"rounds":2,"blockedMs":3000,"isSure":false}],"later":1}'
  expect(decodeOwnData(Buffer.from(own))).toEqual({
    standbys: new Map([
      ['2-0', 0],
      ['2-1', 1],
    ]),
    blockingEvents: [{ ...BLOCKING_EVENT, isSure: false }],
  })
})

const committed = (metadata: string) => ({ topic: 'words', partition: 3, offset: 100, metadata })

test('commit metadata 1', () => {
  expect(decodeCommitMetadata(committed('m1 count:0 tell%20all:2s,5+a,1+1'))).toEqual(
    new Map([
      ['count', { position: 100, finished: [] }],
      [
        'tell all',
        {
          position: 200,
          finished: [
            { from: 205, to: 215 },
            { from: 216, to: 217 },
          ],
        },
      ],
    ]),
  )
})

test('commit metadata 1, with the topics to which agents were seen to send', () => {
  const { metadata } = committed('m1 count:0 >count>totals:0')
  expect(decodeCommitMetadata(committed(metadata))).toEqual(new Map([['count', { position: 100, finished: [] }]]))
  expect([...committedSends(metadata)].map((each) => parseSend(each))).toEqual([{ agent: 'count', topic: 'totals' }])
})

test('commit metadata 2: long text, with fields of later versions', () => {
  const ranges = [
    { from: 205, to: 215 },
    { from: 216, to: 217 },
  ]
  expect(decodeCommitMetadata(committed('m2 count:0;w=k3j tell%20all:2s,5+a,1+1;w=k3j;x >count>totals:0'))).toEqual(
    new Map([
      ['count', { position: 100, finished: [] }],
      ['tell all', { position: 200, finished: ranges }],
    ]),
  )
})

test('commit metadata 2: references to pages by their content', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('app-__progress', 2)
  await outside.send([
    outgoing('app-__progress', 1, 'words/3#0', 'something else'),
    outgoing('app-__progress', 1, 'words/3#0', 'm2 count:0 tell%2'),
    outgoing('app-__progress', 1, 'words/3#1', '0all:2s'),
  ])
  const transport = createMemoryTransport(log, { clock: systemClock(), log: silentLog })
  await transport.connect({ timeoutMs: 1000 })
  const reading = {
    topic: 'app-__progress',
    clock: systemClock(),
    reader: () => transport.reader({ isolation: 'read-uncommitted' }),
  }
  const metadata = 'm2 @1:0:ec2lRgWYl3XdHSaG @1:2:w1Iq0l0KDIG_T3fD'
  const [whole = committed('')] = await withPages([committed(metadata)], reading)
  expect(whole.metadata).toBe('m2 count:0 tell%20all:2s')
  expect(decodeCommitMetadata(whole).get('tell all')).toEqual({ position: 200, finished: [] })
  for (const broken of ['m2 @1:0:AAAAAAAAAAAAAAAA', 'm2 @5:0:ec2lRgWYl3XdHSaG', 'm2 @x'])
    await expect(withPages([committed(broken)], reading)).rejects.toMatchObject({ code: 'PROGRESS_MISSING' })
  await transport.close()
})

test('commit metadata of a later version is an error that names the partition, and does not start subscriptions at the offset', () => {
  expect(() => decodeCommitMetadata(committed('m3 whatever'))).toThrow(
    expect.objectContaining({
      code: 'FORMAT_NEWER',
      message: expect.stringContaining('The commit of words/3 at offset 100 has format 3'),
    }),
  )
})

/** Changes what the worker's leader sends, and what the worker sends about itself. */
class OtherVersion extends LeasedTransport {
  groupData: Uint8Array | undefined
  memberData: ((data: Uint8Array) => Uint8Array) | undefined

  override consumer(options: ConsumerOptions): Consumer {
    return super.consumer({
      ...options,
      memberData: () => this.memberData?.(options.memberData()) ?? options.memberData(),
      listener: {
        ...options.listener,
        onAssign: (change) => options.listener.onAssign({ ...change, groupData: this.groupData ?? change.groupData }),
      },
    })
  }
}

async function warningsOf(prepare: (transport: OtherVersion) => void): Promise<readonly string[]> {
  const log = createMemoryLog()
  await new Outside(log).topic('words', 2)
  const warnings: string[] = []
  const { worker } = await runWorker(
    log,
    { agents: [{ name: 'count', topics: ['words'], handler: () => {} }] },
    {
      log: { ...silentLog, warn: (_fields, message) => void warnings.push(message) },
      wrap: (inner) => {
        const transport = new OtherVersion(inner, () => systemClock().monotonic())
        prepare(transport)
        return transport
      },
    },
  )
  await worker.stop()
  return warnings
}

test('a worker whose leader has a later version warns that it does not know who runs which task', async () => {
  const warnings = await warningsOf((transport) => (transport.groupData = Buffer.from([3, 1, 2])))
  expect(warnings).toEqual([expect.stringContaining('its data has format 3, which this one cannot read')])
})

test('a worker whose leader has an earlier version that cannot read its data warns why it gets nothing', async () => {
  const other = Buffer.from(MEMBER.replace('"instanceId":"pod-1",', '') + '}')
  const seen = decodeMemberData(other)
  if (seen === undefined) throw new Error('The bytes of a member cannot be read.')
  const later = (data: Uint8Array): Uint8Array => Buffer.from(Buffer.from(data).toString().replace('"v":1', '"v":2'))
  expect(decodeMemberData(later(encodeMemberData(seen)))).toBeUndefined()
  // A leader of an earlier version knows only the others.
  const warnings = await warningsOf((transport) => {
    transport.memberData = later
    transport.groupData = Buffer.from(GROUP, 'base64')
  })
  expect(warnings).toEqual([expect.stringContaining('cannot read the data of this worker')])
})

test('a group of one version causes no warning', async () => {
  expect(await warningsOf(() => {})).toEqual([])
})
