import { eventually } from '@millrace/conformance'
import { deferred, partitionsOf } from '@millrace/core'
import { expect, test } from 'vitest'
import { memberOptions } from '../member-options.fixture.ts'
import { follow, type Round } from './group-rounds.fixture.ts'
import { KafkaConsumer } from './kafka-consumer.ts'
import { code, committed, joinedAsLeader, ScriptedCluster, synced } from '../scripted-cluster.fixture.ts'

const COORDINATOR_LOAD_IN_PROGRESS = 14
const UNKNOWN_MEMBER_ID = 25
const REBALANCE_IN_PROGRESS = 27

const OFFSET = { topic: 't', partition: 0, offset: 5, metadata: '' }

test.each([
  {
    what: 'is refused if the partition was lost meanwhile and is back two generations later',
    rounds: [
      [2, 1],
      [3, 0, 1],
    ],
    outcome: 'NOT_ASSIGNED',
  },
  {
    what: 'is refused if a generation was missed, although the partition is still assigned',
    rounds: [[3, 0, 1]],
    outcome: 'NOT_ASSIGNED',
  },
  { what: 'is refused when the partition is lost', rounds: [[2, 1]], outcome: 'NOT_ASSIGNED' },
  {
    what: 'reaches the broker when the partition was kept all the time',
    rounds: [
      [2, 0],
      [3, 0, 1],
    ],
    outcome: undefined,
  },
] satisfies readonly { what: string; rounds: readonly Round[]; outcome: string | undefined }[])(
  'a commit that waits for its next attempt $what',
  async ({ rounds, outcome }) => {
    const { broker, consumer, round } = await follow([[1, 0, 1], ...rounds])
    const refused = deferred<void>()
    broker.on('OffsetCommit', () => {
      refused.resolve()
      return committed([OFFSET], COORDINATOR_LOAD_IN_PROGRESS)
    })
    const commit = consumer.commit([OFFSET]).then(
      () => undefined,
      (error: unknown) => error,
    )
    await refused.promise
    broker.on('OffsetCommit', () => committed([OFFSET], 0))
    for (const _ of rounds) await round()
    await broker.clock.advance(1_000)
    expect(await commit).toEqual(outcome === undefined ? undefined : expect.objectContaining({ code: outcome }))
    expect(broker.count('OffsetCommit')).toBe(outcome === undefined ? 2 : 1)
    await consumer.close()
  },
)

test('a member that is removed while it drains is notified at once, and of the next generation after the drain', async () => {
  const draining = deferred<void>()
  const { broker, consumer, told } = await follow(
    [
      [1, 0, 1],
      [4, 1],
    ],
    { listener: { onRevoke: () => draining.promise } },
  )
  broker.on('Heartbeat', () => code(REBALANCE_IN_PROGRESS))
  await broker.clock.advance(250)
  expect(told.slice(1)).toEqual(['revoke'])
  broker.on('Heartbeat', () => code(UNKNOWN_MEMBER_ID))
  await broker.clock.advance(250)
  await eventually(() => told.includes('lost'), { what: 'onLost', limitMs: 5_000 })
  // Whoever reads the log sees whether it stood still or was forgotten.
  expect(broker.warnings).toEqual([
    { groupId: 't', memberId: 'me', answer: 'UNKNOWN_MEMBER_ID', silentMs: 200, sessionTimeoutMs: 6_000 },
  ])
  broker.on('Heartbeat', () => code(0))
  await broker.clock.advance(250)
  expect(told.slice(1)).toEqual(['revoke', 'lost'])
  draining.resolve()
  await broker.clock.advance(1)
  expect(told.slice(1)).toMatchObject([
    'revoke',
    'lost',
    { generation: 4, kept: [], gained: [{ topic: 't', partition: 1 }] },
  ])
  await consumer.close()
})

test('the session of a member counts from when its join or heartbeat was sent, not from the answer', async () => {
  const { broker, consumer, round } = await follow([
    [1, 0],
    [2, 0],
  ])
  const { clock } = broker
  const answered = deferred<void>()
  let sentMs = 0
  broker.on('SyncGroup', async () => {
    sentMs = clock.monotonic()
    await answered.promise
    return synced(partitionsOf('t', 1))
  })
  const joining = round()
  await clock.advance(900)
  answered.resolve()
  await joining
  expect([clock.monotonic() - sentMs, consumer.lastHeartbeatMs()]).toEqual([900, sentMs])

  const beaten = deferred<void>()
  const beats: number[] = []
  broker.on('Heartbeat', async () => {
    beats.push(clock.monotonic())
    // Only the first heartbeat is answered.
    await (beats.length === 1 ? beaten.promise : deferred<void>().promise)
    return code(0)
  })
  await clock.advance(700)
  beaten.resolve()
  await clock.advance(1)
  const [firstMs = 0, secondMs = 0] = beats
  expect([secondMs - firstMs, consumer.lastHeartbeatMs()]).toEqual([500, firstMs])
  await consumer.close()
})

test('a leader looks up the topics of a foreign client in the group, but not repeatedly', async () => {
  const counts: ReadonlyMap<string, number>[] = []
  const broker = new ScriptedCluster(
    { t: 2, strange: 3 },
    {
      JoinGroup: () => joinedAsLeader(1, { me: ['t'], stranger: ['strange', 'not/there'] }),
      SyncGroup: () => synced([]),
    },
  )
  const options = memberOptions('t', ({ partitions }) => {
    counts.push(partitions)
    return { assignments: new Map(), groupData: Buffer.alloc(0) }
  })
  const consumer = new KafkaConsumer(options, broker.context)
  await consumer.start()
  expect(counts).toEqual([
    new Map([
      ['t', 2],
      ['strange', 3],
    ]),
  ])
  expect(broker.requests('Metadata').filter(({ bytes }) => bytes.includes('strange')).length).toBe(1)
  await broker.context.view.refresh()
  expect(broker.requests('Metadata').filter(({ bytes }) => bytes.includes('strange')).length).toBe(1)
  await consumer.close()
})
