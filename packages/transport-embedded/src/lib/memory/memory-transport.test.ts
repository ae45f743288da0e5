import { describe, expect, it } from 'vitest'
import { deferred, type Logger, NO_HEADERS, type OutgoingRecord, partitionsOf, systemClock } from '@millrace/core'
import type { AssignmentChange, ConsumerOptions, GroupAssignor, RebalanceListener } from '@millrace/core/driver'
import { createMemoryLog } from './memory-log.ts'
import { createMemoryTransport } from '../memory-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const deps = { clock: systemClock(), log: silent }

const roundRobin: GroupAssignor = {
  name: 'round-robin',
  assign: ({ members, partitions }) => {
    const ids = members.map(({ id }) => id)
    const all = [...partitions].flatMap(([topic, count]) => partitionsOf(topic, count))
    return {
      assignments: new Map(ids.map((id, index) => [id, all.filter((_, nth) => nth % ids.length === index)])),
      groupData: Buffer.from(`of ${ids.length}`),
    }
  },
}

function memberOptions(listener: RebalanceListener): ConsumerOptions {
  return {
    groupId: 'g',
    topics: ['t'],
    instanceId: undefined,
    assignor: roundRobin,
    memberData: () => new Uint8Array(0),
    sessionTimeoutMs: 1,
    rebalanceTimeoutMs: 1,
    heartbeatIntervalMs: 1,
    isolation: 'read-committed',
    maxPartitionBytes: 1000,
    listener,
  }
}

function recording(): RebalanceListener & { readonly seen: (AssignmentChange | 'revoke' | 'lost')[] } {
  const seen: (AssignmentChange | 'revoke' | 'lost')[] = []
  return {
    seen,
    onRevoke: async () => void seen.push('revoke'),
    onAssign: async (change) => void seen.push(change),
    onLost: async () => void seen.push('lost'),
  }
}

const record = (partition: number, value: string): OutgoingRecord => ({
  topic: 't',
  partition,
  key: null,
  value: Buffer.from(value),
  headers: NO_HEADERS,
  timestamp: 1,
})

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}

describe('memory transport', () => {
  it('moves the partitions of a killed transport and keeps silent afterwards', async () => {
    const log = createMemoryLog()
    const [a, b] = [createMemoryTransport(log, deps), createMemoryTransport(log, deps)]
    await a.admin().createTopics([{ name: 't', partitions: 4, replicationFactor: -1, config: {} }])
    const [heardA, heardB] = [recording(), recording()]
    const [memberA, memberB] = [a.consumer(memberOptions(heardA)), b.consumer(memberOptions(heardB))]
    await memberA.start()
    await memberB.start()
    await turns(2)
    expect(heardA.seen).toMatchObject([
      { gained: [0, 1, 2, 3].map((partition) => ({ partition })) },
      'revoke',
      { kept: [{ partition: 0 }, { partition: 2 }], lost: [{ partition: 1 }, { partition: 3 }] },
    ])
    let settled = false
    const late = a.producer().send([record(0, 'x')], { guard: () => a.kill() })
    late.then(
      () => (settled = true),
      () => (settled = true),
    )
    await turns(2)
    expect(settled).toBe(false)
    expect(heardB.seen.at(-1)).toMatchObject({
      kept: [{ partition: 1 }, { partition: 3 }],
      gained: [{ partition: 0 }, { partition: 2 }],
    })
    expect(log.group('g').members.size).toBe(1)
    await b.close()
    expect(log.group('g').phase).toBe('empty')
  })

  it('notifies an expired member that it is lost, and lets it join again', async () => {
    const log = createMemoryLog()
    const transport = createMemoryTransport(log, deps)
    await transport.admin().createTopics([{ name: 't', partitions: 1, replicationFactor: -1, config: {} }])
    const heard = recording()
    const member = transport.consumer(memberOptions(heard))
    await member.start()
    transport.expire()
    await expect(member.commit([{ topic: 't', partition: 0, offset: 1, metadata: '' }])).rejects.toMatchObject({
      code: 'MEMBER_FENCED',
    })
    await turns(2)
    expect(heard.seen).toMatchObject([{ generation: 1 }, 'lost', { gained: [{ partition: 0 }] }])
    await transport.close()
  })

  it('does not let a member that was removed while it drained return with its partitions kept', async () => {
    const log = createMemoryLog()
    const [a, b] = [createMemoryTransport(log, deps), createMemoryTransport(log, deps)]
    await a.admin().createTopics([{ name: 't', partitions: 2, replicationFactor: -1, config: {} }])
    const heard = recording()
    const drained = deferred<void>()
    const onRevoke = async (): Promise<void> => {
      await heard.onRevoke()
      await drained.promise
    }
    await a.consumer({ ...memberOptions({ ...heard, onRevoke }), rebalanceTimeoutMs: 30_000 }).start()
    const joining = b.consumer(memberOptions(recording())).start()
    await turns(2)
    a.expire()
    await joining
    drained.resolve()
    await turns(3)
    expect(heard.seen).toMatchObject([
      { gained: [{ partition: 0 }, { partition: 1 }] },
      'revoke',
      'lost',
      { kept: [], gained: [{ topic: 't' }] },
    ])
    await Promise.all([a.close(), b.close()])
  })

  it('compacts, and reading moves over the holes', async () => {
    const log = createMemoryLog()
    const transport = createMemoryTransport(log, deps)
    await transport.admin().createTopics([{ name: 't', partitions: 1, replicationFactor: -1, config: {} }])
    const keyed = (key: string, value: string | null): OutgoingRecord => ({
      ...record(0, ''),
      key: Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
    })
    await transport
      .producer()
      .send([keyed('a', '1'), keyed('b', '1'), keyed('a', '2'), keyed('b', null)], { guard: () => {} })
    log.compact('t', { dropTombstones: true })
    expect(log.records('t').map(({ offset }) => offset)).toEqual([2])
    const reader = transport.reader({ isolation: 'read-committed' })
    reader.assign({ topic: 't', partition: 0 }, 3)
    const batches = reader.batches()[Symbol.asyncIterator]()
    expect(await batches.next()).toMatchObject({ value: { records: [], nextOffset: 4, endOffset: 4 } })
    await transport.close()
    expect(await batches.next()).toMatchObject({ done: true })
  })
})
