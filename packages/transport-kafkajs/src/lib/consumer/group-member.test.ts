import { eventually } from '@millrace/conformance'
import { deferred, partitionsOf } from '@millrace/core'
import { describe, expect, test } from 'vitest'
import {
  code,
  committed,
  joined,
  joinedAsLeader,
  notJoined,
  notSynced,
  perPartition,
  type ScriptedCluster,
  synced,
} from '../scripted-cluster.fixture.ts'
import { readByTopic } from '../wire/requests/request-fields.ts'
import { WireReader } from '../wire/wire-reader.ts'
import { WireWriter } from '../wire/wire-writer.ts'
import { follow, member } from './group-rounds.fixture.ts'

const UNKNOWN_SERVER_ERROR = -1
const COORDINATOR_LOAD_IN_PROGRESS = 14
const NOT_COORDINATOR = 16
const ILLEGAL_GENERATION = 22
const INCONSISTENT_GROUP_PROTOCOL = 23
const UNKNOWN_MEMBER_ID = 25
const REBALANCE_IN_PROGRESS = 27
const GROUP_AUTHORIZATION_FAILED = 30
const MEMBER_ID_REQUIRED = 79
const FENCED_INSTANCE_ID = 82
/** Longer than any wait of the driver for another try. */
const TRY_MS = 1_500
const BOTH = partitionsOf('t', 2)
const OFFSET = { topic: 't', partition: 0, offset: 5, metadata: '' }

/** The member ids that joins were sent under, and the bytes by which one join differs from another. */
function joins(broker: ScriptedCluster): readonly { readonly memberId: string; readonly data: string }[] {
  return broker.requests('JoinGroup').map(({ bytes }) => {
    const request = new WireReader(bytes)
    request.string()
    request.int32()
    request.int32()
    const memberId = request.text()
    return { memberId, data: request.raw(request.remaining).toString('hex') }
  })
}

/** Ids and instances of the members that have left. */
function leavers(broker: ScriptedCluster): readonly string[] {
  return broker.requests('LeaveGroup').flatMap(({ bytes }) => {
    const request = new WireReader(bytes)
    request.string()
    return request.array(() => `${request.text()} ${request.string()}`)
  })
}

describe('joining', () => {
  test('continues with the member id that the broker gives, and keeps it', async () => {
    const { broker, consumer, round, told } = member([[1, 0]])
    expect(consumer.lastHeartbeatMs()).toBe(-Infinity)
    consumer.rejoin()
    let id = ''
    broker.on('JoinGroup', () => {
      if (id !== '') return joined(broker.count('SyncGroup') + 1, id)
      id = 'given'
      return notJoined(MEMBER_ID_REQUIRED, id)
    })
    await consumer.start()
    await round()
    expect(joins(broker).map(({ memberId }) => memberId)).toEqual(['', 'given', 'given'])
    expect(told).toMatchObject([{ memberId: 'given', generation: 1 }, 'revoke', { memberId: 'given', generation: 2 }])
    await consumer.close()
    expect(leavers(broker)).toEqual(['given null'])
  })

  test('changes whenever the member wants a rebalance, because a broker would not start one otherwise', async () => {
    const { broker, consumer, round } = await follow([[1], [2], [3]])
    broker.on('Heartbeat', () => code(REBALANCE_IN_PROGRESS))
    await broker.clock.advance(250)
    await eventually(() => broker.count('JoinGroup') === 2, { what: 'another join' })
    broker.on('Heartbeat', () => code(0))
    await broker.clock.advance(250)
    await round()
    const [first, second, third] = joins(broker).map(({ data }) => data)
    expect([second === first, third === second]).toEqual([true, false])
    await consumer.close()
  })

  test('starts again if another member joined in between; then no partition counts as kept', async () => {
    const { broker, consumer, told, round } = await follow([
      [1, 0],
      [2, 0],
      [2, 0],
    ])
    let syncs = 0
    broker.on('SyncGroup', () => (syncs++ === 0 ? notSynced(REBALANCE_IN_PROGRESS) : synced(partitionsOf('t', 1))))
    await round()
    expect(told.slice(1)).toMatchObject(['revoke', { lost: [{ partition: 0 }], kept: [], gained: [{ partition: 0 }] }])
    expect(joins(broker).map(({ memberId }) => memberId)).toEqual(['', 'me', 'me'])
    await consumer.close()
  })

  test.each([
    ['the coordinator is busy', () => notJoined(COORDINATOR_LOAD_IN_PROGRESS)],
    ['the connection is cut', () => Promise.reject(new Error('Cut.'))],
  ] as const)('is tried again when %s, and then nothing counts as kept', async (_, answer) => {
    const { broker, consumer, told } = await follow([[1, 0]])
    let tries = 0
    broker.on('JoinGroup', () => (tries++ === 0 ? answer() : joined(2)))
    consumer.rejoin()
    await broker.clock.advance(TRY_MS)
    expect(told.slice(1)).toMatchObject(['revoke', { generation: 2, kept: [], gained: [{ partition: 0 }] }])
    // The first look, one after the refusal.
    expect(broker.count('FindCoordinator')).toBe(2)
    await consumer.close()
  })

  test('waits a little longer than other members may drain, and is then retried', async () => {
    const { broker, consumer } = member([[1]])
    let joins = 0
    broker.on('JoinGroup', () => (++joins === 1 ? deferred<never>().promise : joined(1)))
    const started = consumer.start()
    await broker.clock.advance(14_999)
    expect(joins).toBe(1)
    await broker.clock.advance(TRY_MS)
    await started
    expect(joins).toBe(2)
    await consumer.close()
  })

  test('of a member that the broker has forgotten continues as a new member, with one log line', async () => {
    const { broker, consumer, told } = await follow([[1, 0]])
    let tries = 0
    broker.on('JoinGroup', () => (tries++ === 0 ? notJoined(UNKNOWN_MEMBER_ID) : joined(5, 'new')))
    consumer.rejoin()
    await broker.clock.advance(0)
    expect(told.slice(1)).toMatchObject(['revoke', 'lost', { memberId: 'new', generation: 5, lost: [], kept: [] }])
    expect(joins(broker).map(({ memberId }) => memberId)).toEqual(['', 'me', ''])
    expect(broker.warnings).toMatchObject([{ memberId: 'me', answer: 'UNKNOWN_MEMBER_ID' }])
    await consumer.close()
  })

  test('of a new member that the broker has already forgotten loses nothing', async () => {
    const { broker, consumer, told } = member([[1]])
    let tries = 0
    broker.on('JoinGroup', () => (tries++ < 2 ? notJoined(UNKNOWN_MEMBER_ID) : joined(1)))
    await consumer.start()
    expect(told).toMatchObject([{ generation: 1 }])
    expect(broker.warnings).toEqual([])
    await consumer.close()
  })

  test.each([
    ['JoinGroup', FENCED_INSTANCE_ID, 'INSTANCE_TAKEN', 'with the instance id "one" of this one'],
    ['SyncGroup', FENCED_INSTANCE_ID, 'INSTANCE_TAKEN', 'with the instance id "one" of this one'],
    ['JoinGroup', INCONSISTENT_GROUP_PROTOCOL, 'GROUP_INCONSISTENT', 'refused the member (sessionTimeout 6000 ms)'],
    ['JoinGroup', GROUP_AUTHORIZATION_FAILED, 'NOT_AUTHORIZED', 'needs the right Read on the group'],
  ] as const)('that %s answers with the code %i ends with %s', async (api, errorCode, thrown, detail) => {
    const { broker, consumer, told } = member([[1]], { instanceId: 'one' })
    broker.on(api, () => (api === 'JoinGroup' ? notJoined(errorCode) : notSynced(errorCode)))
    const error = { code: thrown, detail: expect.stringContaining(detail) }
    await expect(consumer.start()).rejects.toMatchObject(error)
    await expect(consumer.batches()[Symbol.asyncIterator]().next()).rejects.toMatchObject(error)
    expect([told, broker.errors.length]).toEqual([[], 1])
    await consumer.close()
  })

  test('needs its topics: a missing topic is an error, a topic that appears late is not', async () => {
    const { broker, consumer } = member([[1]], { topics: ['t', 'gone'] })
    await expect(consumer.start()).rejects.toMatchObject({ code: 'TOPIC_MISSING' })
    expect(broker.count('JoinGroup')).toBe(0)
    await consumer.close()
  })
})

describe('a leader', () => {
  test('whose assignment is too large for the broker tries six times, then reports the size', async () => {
    const { broker, consumer } = member([[1]])
    broker.on('JoinGroup', () => joinedAsLeader(1, { me: ['t'], other: ['t'] }))
    broker.on('SyncGroup', () => notSynced(UNKNOWN_SERVER_ERROR))
    const failed = expect(consumer.start()).rejects.toMatchObject({
      code: 'GROUP_TOO_LARGE',
      // Ids of 2 and 5, two subscriptions of 21 bytes, two assignments of 14.
      detail: expect.stringMatching(/assignments of group "t", 77 bytes in one record/),
    })
    await broker.clock.advance(20_000)
    await failed
    expect(broker.count('SyncGroup')).toBe(6)
    await consumer.close()
  })

  test('whose assignment is refused once continues when the broker accepts it', async () => {
    const { broker, consumer } = member([[1]])
    broker.on('JoinGroup', () => joinedAsLeader(1, { me: ['t'] }))
    let syncs = 0
    broker.on('SyncGroup', () => (syncs++ < 5 ? notSynced(UNKNOWN_SERVER_ERROR) : synced([])))
    const started = consumer.start()
    await broker.clock.advance(20_000)
    await started
    expect(joins(broker).map(({ memberId }) => memberId)).toEqual(['', 'me', 'me', 'me', 'me', 'me'])
    await consumer.close()
  })

  test('gives each member its partitions and data; a member with another protocol subscribes to nothing', async () => {
    const members: unknown[] = []
    const { broker, consumer } = member([[1]], {
      assignor: {
        name: 'test',
        assign: (group) => {
          members.push(...group.members.map(({ id, topics }) => [id, topics]))
          return {
            assignments: new Map([['me', BOTH]]),
            groupData: Buffer.from('group'),
            ownData: new Map([['me', Buffer.from('mine')]]),
          }
        },
      },
    })
    broker.on('JoinGroup', () => {
      const answer = new WireWriter().int32(0).int16(0).int32(1).string('test').string('me').string('me')
      const whole = joinedAsLeader(1, { me: ['t'] }).bytes()
      // The members follow an array's length.
      const mine = whole.subarray(answer.bytes().length + 4)
      return answer
        .int32(2)
        .raw(mine)
        .string('stranger')
        .string(null)
        .data(Buffer.from([1]))
    })
    let sent: readonly (readonly [string, string])[] = []
    broker.on('SyncGroup', (request) => {
      request.string()
      request.int32()
      request.string()
      request.string()
      sent = request.array(() => [request.text(), request.data().toString('latin1')] as const)
      return synced([])
    })
    await consumer.start()
    expect(members).toEqual([
      ['me', ['t']],
      ['stranger', []],
    ])
    expect(sent.map(([id]) => id)).toEqual(['me', 'stranger'])
    expect(sent[0]?.[1]).toMatch(/t.*group.*mine$/s)
    expect(sent[1]?.[1]).toMatch(/group\0\0\0\0$/)
    await consumer.close()
  })

  test('whose assignor throws fails with its message', async () => {
    const { broker, consumer } = member([[1]], {
      assignor: {
        name: 'test',
        assign: () => {
          throw new Error('No plan')
        },
      },
    })
    broker.on('JoinGroup', () => joinedAsLeader(1, { me: ['t'] }))
    await expect(consumer.start()).rejects.toMatchObject({
      code: 'WORKER_FAILED',
      detail: 'The assignor of group "t" threw: No plan.',
    })
    await consumer.close()
  })
})

describe('a follower', () => {
  test('sends no assignment, and does not run its assignor', async () => {
    let runs = 0
    const { broker, consumer } = member([[1]], {
      assignor: {
        name: 'test',
        assign: () => {
          runs++
          return { assignments: new Map(), groupData: Buffer.alloc(0) }
        },
      },
    })
    await consumer.start()
    const [request] = broker.requests('SyncGroup')
    expect([runs, request?.bytes.readInt32BE(request.bytes.length - 4)]).toEqual([0, 0])
    await consumer.close()
  })

  test('retries after an error of the broker, as for any temporary failure', async () => {
    const { broker, consumer } = member([[1]])
    let syncs = 0
    broker.on('SyncGroup', () => (syncs++ < 8 ? notSynced(UNKNOWN_SERVER_ERROR) : synced([])))
    const started = consumer.start()
    await broker.clock.advance(20_000)
    await started
    expect(syncs).toBe(9)
    await consumer.close()
  })
})

describe('a heartbeat', () => {
  test.each([ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID])(
    'refused with the code %i ends the membership',
    async (errorCode) => {
      const { broker, consumer, told } = await follow([[1, 0], [7]])
      broker.on('Heartbeat', () => code(errorCode))
      await broker.clock.advance(200)
      expect(told.slice(1)).toMatchObject(['lost', { generation: 7 }])
      await consumer.close()
    },
  )

  test.each([
    [FENCED_INSTANCE_ID, 'INSTANCE_TAKEN'],
    [GROUP_AUTHORIZATION_FAILED, 'NOT_AUTHORIZED'],
  ])('that is answered with the code %i ends the consumer, which leaves', async (errorCode, thrown) => {
    const { broker, consumer, told } = await follow([[1, 0]], { instanceId: 'one' })
    const failed = expect(consumer.batches()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: thrown })
    broker.on('Heartbeat', () => code(errorCode))
    await broker.clock.advance(200)
    await failed
    expect([told.slice(1), leavers(broker)]).toEqual([['lost'], ['me one']])
    await broker.clock.advance(10_000)
    expect(broker.count('Heartbeat')).toBe(1)
    await expect(consumer.commit([OFFSET])).rejects.toMatchObject({ code: 'MEMBER_FENCED' })
    await consumer.close()
  })

  test.each([
    ['the coordinator has moved', () => code(NOT_COORDINATOR)],
    ['the connection is cut', () => Promise.reject(new Error('Cut.'))],
  ] as const)('is sent again, to whoever coordinates then, when %s', async (_, answer) => {
    const { broker, consumer, told } = await follow([[1, 0]], { nodes: 2 })
    broker.on('Heartbeat', answer)
    await broker.clock.advance(200)
    expect(broker.count('Heartbeat')).toBe(1)
    const { lastHeartbeatMs: before } = { lastHeartbeatMs: consumer.lastHeartbeatMs() }
    broker.coordinator = 2
    broker.on('Heartbeat', () => code(0))
    await broker.clock.advance(TRY_MS)
    expect(broker.requests('Heartbeat').at(-1)?.node).toBe(2)
    expect(consumer.lastHeartbeatMs()).toBeGreaterThan(before)
    expect(told).toHaveLength(1)
    await consumer.close()
  })

  test('without a response for a whole session is abandoned, and another one is sent', async () => {
    const { broker, consumer } = await follow([[1, 0]])
    broker.on('Heartbeat', () => deferred<never>().promise)
    await broker.clock.advance(6_199)
    expect(broker.count('Heartbeat')).toBe(1)
    broker.on('Heartbeat', () => code(0))
    await broker.clock.advance(TRY_MS)
    expect(broker.count('Heartbeat')).toBeGreaterThan(1)
    await consumer.close()
  })

  test('is also sent while the member drains', async () => {
    const draining = deferred<void>()
    const { broker, consumer } = await follow(
      [
        [1, 0],
        [2, 0],
      ],
      { listener: { onRevoke: () => draining.promise } },
    )
    broker.on('Heartbeat', () => code(REBALANCE_IN_PROGRESS))
    await broker.clock.advance(2_000)
    expect([broker.count('Heartbeat'), broker.count('JoinGroup')]).toEqual([10, 1])
    expect(broker.clock.monotonic() - consumer.lastHeartbeatMs()).toBe(0)
    draining.resolve()
    await broker.clock.advance(0)
    expect(broker.count('JoinGroup')).toBe(2)
    await consumer.close()
  })
})

test('a heartbeat that fails permanently ends the consumer with the reason', async () => {
  const { broker, consumer, told } = await follow([[1, 0]])
  // An answer that says nothing of the group: the coordinator cannot be looked up.
  broker.on('Heartbeat', () => code(NOT_COORDINATOR))
  broker.coordinatorCode = GROUP_AUTHORIZATION_FAILED
  const failed = expect(consumer.batches()[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: 'NOT_AUTHORIZED',
  })
  await broker.clock.advance(TRY_MS)
  await failed
  expect(told.slice(1)).toEqual(['lost'])
  await consumer.close()
})

test('the time-out of a heartbeat is cancelled by its response', async () => {
  const { broker, consumer } = await follow([[1, 0]])
  await broker.clock.advance(2_000)
  const pending = broker.clock.pending()
  await broker.clock.advance(2_000)
  expect(broker.clock.pending()).toBe(pending)
  await consumer.close()
  expect(broker.clock.pending()).toBe(0)
})

describe('a drain', () => {
  test('that takes longer than the other members wait is abandoned, with a warning', async () => {
    const draining = deferred<void>()
    const { broker, consumer, told } = await follow(
      [
        [1, 0],
        [2, 0],
      ],
      { listener: { onRevoke: () => draining.promise } },
    )
    consumer.rejoin()
    await broker.clock.advance(9_999)
    expect(broker.count('JoinGroup')).toBe(1)
    await broker.clock.advance(1)
    expect(broker.count('JoinGroup')).toBe(2)
    expect(broker.warnings).toEqual([{ groupId: 't', rebalanceTimeoutMs: 10_000 }])
    // The listener hears one thing at a time.
    expect(told).toHaveLength(2)
    draining.resolve()
    await broker.clock.advance(0)
    expect(told).toMatchObject([{ generation: 1 }, 'revoke', { generation: 2 }])
    await consumer.close()
  })

  test.each(['onRevoke', 'onAssign'] as const)('of a member whose %s fails ends it, and it leaves', async (call) => {
    const fails = { isOn: false }
    const { broker, consumer, told } = await follow(
      [
        [1, 0],
        [2, 0],
      ],
      {
        listener: {
          [call]: async () => {
            if (fails.isOn) throw new Error('Broken.')
          },
        },
      },
    )
    fails.isOn = true
    const failed = expect(consumer.batches()[Symbol.asyncIterator]().next()).rejects.toThrow('Broken.')
    consumer.rejoin()
    await broker.clock.advance(0)
    await failed
    expect(told.at(-1)).toBe('lost')
    expect(leavers(broker)).toEqual(['me null'])
    await consumer.close()
    expect(leavers(broker)).toHaveLength(1)
  })

  test('ends at once if another process takes over the instance id', async () => {
    const { broker, consumer, told } = await follow([[1, 0]], {
      listener: { onRevoke: () => deferred<never>().promise },
    })
    const failed = expect(consumer.batches()[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'INSTANCE_TAKEN',
    })
    consumer.rejoin()
    await broker.clock.advance(0)
    broker.on('Heartbeat', () => code(FENCED_INSTANCE_ID))
    await broker.clock.advance(200)
    await failed
    expect(told.slice(1)).toEqual(['revoke', 'lost'])
    await consumer.close()
  })
})

describe('closing', () => {
  test.each([
    [{ instanceId: undefined }, { leave: true }, ['me null']],
    [{ instanceId: undefined }, { leave: false }, ['me null']],
    [{ instanceId: 'one' }, { leave: true }, ['me one']],
    [{ instanceId: 'one' }, undefined, ['me one']],
    [{ instanceId: 'one' }, { leave: false }, []],
  ])('of a member with %o by %o', async (options, how, left) => {
    const { broker, consumer } = await follow([[1, 0]], options)
    const closed = consumer.close(how)
    expect(consumer.close()).toBe(closed)
    await closed
    expect([leavers(broker), broker.closed, broker.errors]).toEqual([left, [consumer], []])
    await broker.clock.advance(10_000)
    expect(broker.count('Heartbeat')).toBe(0)
    await expect(consumer.commit([OFFSET])).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(consumer.start()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('waits up to three seconds for the leave request, and ignores its failure', async () => {
    const silent = await follow([[1, 0]])
    silent.broker.on('LeaveGroup', () => deferred<never>().promise)
    let isClosed = false
    const closed = silent.consumer.close().then(() => (isClosed = true))
    await silent.broker.clock.advance(2_999)
    expect(isClosed).toBe(false)
    await silent.broker.clock.advance(1)
    await closed
    const cut = await follow([[1, 0]])
    cut.broker.on('LeaveGroup', () => Promise.reject(new Error('Cut.')))
    await cut.consumer.close()
  })

  test('during a join rejects the start with CLOSED, and the leave request does not wait for the join', async () => {
    const { broker, consumer } = member([[1]])
    let joins = 0
    broker.on('JoinGroup', () => (joins++ === 0 ? notJoined(MEMBER_ID_REQUIRED, 'given') : deferred<never>().promise))
    const started = expect(consumer.start()).rejects.toMatchObject({ code: 'CLOSED' })
    await broker.clock.advance(0)
    await consumer.close()
    await started
    await broker.clock.advance(0)
    expect([leavers(broker), broker.errors]).toEqual([['given null'], []])
  })

  test('like a dying process sends no leave request', async () => {
    const { broker, consumer } = await follow([[1, 0]])
    consumer.abandon()
    await broker.clock.advance(5_000)
    expect([leavers(broker), broker.count('Heartbeat')]).toEqual([[], 0])
  })
})

test('the fetches get positions, pauses, resumes and sizes from the consumer', async () => {
  const { broker, consumer } = member([[1, 0, 1]], { isolation: 'read-uncommitted' })
  const asked: (readonly [isolation: number, positions: readonly string[]])[] = []
  const answered = { next: deferred<void>() }
  broker.on('Fetch', async (request) => {
    for (let field = 0; field < 4; field++) request.int32()
    const isolation = request.int8()
    request.int32()
    request.int32()
    const positions = readByTopic(request, (topic) => {
      const partition = request.int32()
      request.int32()
      const offset = request.int64()
      request.int64()
      return `${topic}/${partition} from ${offset}, ${request.int32()} bytes`
    })
    asked.push([isolation, positions])
    await answered.next.promise
    return new WireWriter()
      .int32(0)
      .int16(0)
      .int32(0)
      .array([], () => {})
  })
  const fetchAfter = async (change: () => void): Promise<unknown> => {
    const { length } = asked
    change()
    const { next } = answered
    answered.next = deferred()
    next.resolve()
    await broker.clock.advance(200)
    return asked.length === length ? undefined : asked.at(-1)
  }
  await consumer.start()
  const first = { topic: 't', partition: 0 }
  const second = { topic: 't', partition: 1 }
  const reading = consumer.batches()[Symbol.asyncIterator]().next()
  expect(() => consumer.seek(first, -1)).toThrow()
  expect(await fetchAfter(() => consumer.seek(first, 7))).toEqual([0, ['t/0 from 7, 100000 bytes']])
  expect(await fetchAfter(() => consumer.seek(second, 3))).toEqual([
    0,
    [expect.stringContaining('t/0 from 7'), expect.stringContaining('t/1 from 3')],
  ])
  expect(await fetchAfter(() => consumer.pause([first]))).toEqual([0, [expect.stringContaining('t/1 from 3')]])
  expect(await fetchAfter(() => consumer.stop([second]))).toBe(undefined)
  expect(await fetchAfter(() => consumer.resume([first]))).toEqual([0, [expect.stringContaining('t/0 from 7')]])
  await consumer.close()
  await Promise.allSettled([reading])
})

describe('a commit', () => {
  test('before the start is refused, and an empty one sends no request', async () => {
    const { broker, consumer } = member([[1, 0]])
    await expect(consumer.commit([OFFSET])).rejects.toMatchObject({
      code: 'CLOSED',
      detail: expect.stringContaining('has not been started'),
    })
    await expect(consumer.committed([OFFSET])).rejects.toMatchObject({ code: 'CLOSED' })
    await consumer.start()
    await consumer.commit([])
    await expect(consumer.commit([{ ...OFFSET, offset: -1 }])).rejects.toMatchObject({ code: 'OFFSET_UNSAFE' })
    await expect(consumer.commit([{ ...OFFSET, partition: 1 }])).rejects.toMatchObject({ code: 'NOT_ASSIGNED' })
    expect(broker.count('OffsetCommit')).toBe(0)
    await consumer.commit([OFFSET])
    expect(broker.count('OffsetCommit')).toBe(1)
    await consumer.close()
  })

  test('during the first join waits for the assignment', async () => {
    const { broker, consumer } = member([[1, 0]])
    const answered = deferred<void>()
    broker.on('JoinGroup', async () => {
      await answered.promise
      return joined(1)
    })
    const started = consumer.start()
    await broker.clock.advance(0)
    const refused = expect(consumer.commit([OFFSET])).rejects.toMatchObject({ code: 'NOT_ASSIGNED' })
    answered.resolve()
    await started
    await refused
    await consumer.close()
  })

  test('can be read with committed(), except for offsets of open transactions', async () => {
    const { broker, consumer } = await follow([[1, 0]])
    broker.on('OffsetFetch', () => {
      const answer = new WireWriter().noTags().int32(0)
      answer.compactArray([OFFSET], ({ topic, partition, offset, metadata }) => {
        answer.compactString(topic).compactArray([partition], () => {
          answer.int32(partition).int64(offset).int32(-1).compactString(metadata).int16(0).noTags()
        })
        answer.noTags()
      })
      return answer.int16(0).noTags()
    })
    expect(await consumer.committed([OFFSET])).toEqual([OFFSET])
    const [request] = broker.requests('OffsetFetch')
    // The group's name, and before the tags at the end whether offsets must be stable.
    expect(request?.bytes.subarray(1, 3).toString()).toBe('\u0002t')
    expect(request?.bytes.at(-2)).toBe(1)
    await consumer.close()
  })

  test('refused with UNKNOWN_MEMBER_ID ends the membership without waiting for a heartbeat', async () => {
    const { broker, consumer, told } = await follow([[1, 0], [5]])
    broker.on('OffsetCommit', () => committed([OFFSET], UNKNOWN_MEMBER_ID))
    await expect(consumer.commit([OFFSET])).rejects.toMatchObject({ code: 'MEMBER_FENCED' })
    await broker.clock.advance(0)
    expect(told.slice(1)).toMatchObject(['lost', { generation: 5 }])
    await consumer.close()
  })

  test('refused with REBALANCE_IN_PROGRESS is repeated in the next generation', async () => {
    const { broker, consumer, round } = await follow([
      [1, 0],
      [2, 0],
    ])
    broker.on('OffsetCommit', () => committed([OFFSET], REBALANCE_IN_PROGRESS))
    const commit = consumer.commit([OFFSET])
    await broker.clock.advance(0)
    broker.on('OffsetCommit', () => committed([OFFSET], 0))
    await round()
    await broker.clock.advance(TRY_MS)
    await commit
    expect(broker.count('OffsetCommit')).toBe(2)
    await consumer.close()
  })

  test('that is refused names the partition, and a start that is called twice joins once', async () => {
    const { broker, consumer } = await follow([[1, 0, 1]])
    await consumer.start()
    await broker.clock.advance(0)
    expect(broker.count('JoinGroup')).toBe(1)
    broker.on('OffsetCommit', () =>
      perPartition([
        { topic: 't', partition: 1, errorCode: 0 },
        { topic: 't', partition: 0, errorCode: 12 },
      ]),
    )
    await expect(consumer.commit([{ ...OFFSET, partition: 1 }, OFFSET])).rejects.toMatchObject({
      code: 'RECORD_REFUSED',
      detail: expect.stringContaining('The offset of t/0 could not be committed.'),
    })
    await consumer.close()
  })

  test('during a rebalance waits for the next generation', async () => {
    const { broker, consumer } = await follow([
      [1, 0],
      [2, 0],
    ])
    const answered = deferred<void>()
    broker.on('JoinGroup', async () => {
      await answered.promise
      return joined(2)
    })
    consumer.rejoin()
    await broker.clock.advance(0)
    const commit = consumer.commit([OFFSET])
    await broker.clock.advance(0)
    expect(broker.count('OffsetCommit')).toBe(0)
    broker.on('SyncGroup', () => synced(partitionsOf('t', 1)))
    answered.resolve()
    await commit
    const [request] = broker.requests('OffsetCommit')
    const reader = new WireReader(request?.bytes ?? Buffer.alloc(0))
    reader.string()
    expect(reader.int32()).toBe(2)
    await consumer.close()
  })
})
