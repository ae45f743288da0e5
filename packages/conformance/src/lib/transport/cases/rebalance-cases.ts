import { expect } from 'vitest'
import { deferred, partitionKey } from '@millrace/core'
import { eventually } from '../../eventually.ts'
import { numbers, OPEN_GUARD, text, type CaseContext } from '../case-context.ts'
import type { TestMember } from '../test-member.ts'

export const rebalanceCases = {
  'revoke comes before anybody is assigned anew, and commits inside it succeed': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    const groupId = t.name('group')
    const drained = deferred<void>()
    const committed: number[] = []
    const a: TestMember = t.member(await t.transport(), {
      label: 'a',
      groupId,
      topics: [topic],
      beforeRevoke: async () => {
        await drained.promise
        await a.consumer.commit([{ topic, partition: 0, offset: 7, metadata: 'in revoke' }])
        committed.push(7)
      },
      seekGained: false,
    })
    await a.consumer.start()
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic], seekGained: false })
    const starting = b.consumer.start()
    await eventually(() => a.events.some(({ type }) => type === 'revoke'), { what: 'onRevoke' })
    expect(b.events).toEqual([])
    drained.resolve()
    await starting
    await Promise.all([a.settled(1), b.settled(1)])
    expect(committed).toEqual([7])
    expect(a.events.map(({ type }) => type).slice(0, 3)).toEqual(['assign', 'revoke', 'assign'])
    expect(await b.consumer.committed([{ topic, partition: 0 }])).toEqual([
      { topic, partition: 0, offset: 7, metadata: 'in revoke' },
    ])
    const generations = a.events.flatMap((event) => (event.type === 'assign' ? event.generation : []))
    expect(generations).toEqual([...new Set(generations)].sort((x, y) => x - y))
  },

  'heartbeats go on during a long revoke': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const groupId = t.name('group')
    let beats = 0
    const a: TestMember = t.member(await t.transport(), {
      label: 'a',
      groupId,
      topics: [topic],
      beforeRevoke: async () => {
        for (; beats < 3; beats++) {
          const last = a.consumer.lastHeartbeatMs()
          await eventually(() => a.consumer.lastHeartbeatMs() > last, { what: 'a heartbeat' })
        }
      },
    })
    await a.consumer.start()
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    await b.consumer.start()
    await Promise.all([a.settled(1), b.settled(0)])
    expect(beats).toBe(3)
    expect(a.events.map(({ type }) => type)).not.toContain('lost')
  },

  'lost, kept and gained say what changed': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(4)
    const groupId = t.name('group')
    const a = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    await a.consumer.start()
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    await b.consumer.start()
    await Promise.all([a.settled(2), b.settled(2)])
    const last = a.events.at(-1)
    if (last?.type !== 'assign') throw new Error('The last event of a is not an assignment.')
    expect(last.gained).toEqual([])
    expect(last.kept.map(partitionKey).sort()).toEqual(a.owned)
    expect(last.lost.map(partitionKey).sort()).toEqual(b.owned)
    await b.leave()
    await a.settled(4)
    const back = a.events.at(-1)
    expect(back).toMatchObject({ type: 'assign', lost: [] })
    expect(back?.type === 'assign' && back.kept.length === 2 && back.gained.length === 2).toBe(true)
  },

  'a kept partition that is stopped when the group has changed goes on where seek says': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    const groupId = t.name('group')
    await t.send(...numbers(20).map((number) => text(topic, number % 2, String(number))))
    const kept: number[] = []
    const a: TestMember = t.member(await t.transport(), {
      label: 'a',
      groupId,
      topics: [topic],
      beforeAssign: async (change) => {
        a.consumer.stop(change.kept)
        kept.push(...change.kept.map(({ partition }) => partition))
      },
    })
    await a.consumer.start()
    await eventually(() => a.handled.length === 20, { what: 'the first 20' })
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    await b.consumer.start()
    await Promise.all([a.settled(1), b.settled(1)])
    const [partition = -1] = kept
    await t.send(...numbers(2).map((number) => text(topic, number, 'more')))
    await eventually(() => b.handled.at(-1)?.value === 'more', { what: 'what was sent to the other' })
    expect(a.offsets(partition)).toEqual(numbers(10))
    a.consumer.seek({ topic, partition }, 5)
    await eventually(() => a.offsets(partition).length === 16, { what: 'what follows the new position' })
    expect(a.offsets(partition).slice(10)).toEqual(numbers(6, 5))
  },

  'kept partitions are not delivered again': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    const groupId = t.name('group')
    // Partitions 0 and 1 are never committed, so a driver that starts again at the committed offset is detected.
    const a = t.member(await t.transport(), {
      label: 'a',
      groupId,
      topics: [topic],
      maxPartitionBytes: 2000,
      seekGained: false,
    })
    await a.consumer.start()
    for (const partition of numbers(2)) a.consumer.seek({ topic, partition }, 0)
    await t.send(...numbers(400).map((number) => text(topic, number % 2, String(number))))
    await eventually(() => a.handled.length === 400, { what: 'the first 400' })
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    await b.consumer.start()
    await Promise.all([a.settled(1), b.settled(1)])
    const kept = Number(a.owned[0]?.split('/')[1])
    await t.send(...numbers(400, 400).map((number) => text(topic, number % 2, String(number))))
    await eventually(() => a.offsets(kept).length >= 400, { what: 'the rest of the kept partition' })
    expect(a.offsets(kept)).toEqual(numbers(400))
    const offsets = a.batches
      .filter(({ partition }) => partition === kept)
      .flatMap(({ records }) => records.map(({ offset }) => offset))
    expect(offsets).toEqual(numbers(400))
  },

  'batches of lost partitions stop with onAssign': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(4)
    const groupId = t.name('group')
    const strays: string[] = []
    const a: TestMember = t.member(await t.transport(), {
      label: 'a',
      groupId,
      topics: [topic],
      maxPartitionBytes: 1000,
      beforeAssign: async ({ lost }) => {
        const seen = a.batches.length
        const gone = new Set(lost.map(partitionKey))
        await new Promise<void>((resolve) => setImmediate(resolve))
        strays.push(
          ...a.batches
            .slice(seen)
            .map(partitionKey)
            .filter((key) => gone.has(key)),
        )
      },
    })
    await a.consumer.start()
    await t.send(...numbers(4000).map((number) => text(topic, number % 4, `${number} ${'x'.repeat(100)}`)))
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic], maxPartitionBytes: 1000 })
    await b.consumer.start()
    await Promise.all([a.settled(2), b.settled(2)])
    expect(strays).toEqual([])
  },

  'a member joins and leaves while numbered records flow: none is missing, none comes twice': async (
    t: CaseContext,
  ): Promise<void> => {
    const partitions = 4
    const topic = await t.topic(partitions)
    const groupId = t.name('group')
    const a = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    await a.consumer.start()
    const sending = sendNumbered(t, topic, partitions)
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    await b.consumer.start()
    await Promise.all([a.settled(2), b.settled(2)])
    await eventually(() => b.handled.length > 0, { what: 'the member that joined to have work' })
    await b.leave()
    await a.settled(partitions)
    const c = t.member(await t.another(), { label: 'c', groupId, topics: [topic] })
    await c.consumer.start()
    await Promise.all([a.settled(2), c.settled(2)])
    await sending
    await expectOnce([a, b, c], t.manyRecords)
  },

  'members that join at the same time, and one during a rebalance, end up with even shares': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(6)
    const groupId = t.name('group')
    const drained = deferred<void>()
    let slow = true
    const first = t.member(await t.transport(), {
      label: 'a',
      groupId,
      topics: [topic],
      beforeRevoke: async () => {
        if (slow) await drained.promise
      },
    })
    await first.consumer.start()
    const second = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    const starting = [second.consumer.start()]
    await eventually(() => first.events.some(({ type }) => type === 'revoke'), { what: 'the rebalance to begin' })
    const third = t.member(await t.another(), { label: 'c', groupId, topics: [topic] })
    starting.push(third.consumer.start())
    slow = false
    drained.resolve()
    await Promise.all(starting)
    await Promise.all([first.settled(2), second.settled(2), third.settled(2)])
    const all = [first, second, third].flatMap(({ owned }) => owned)
    expect([...all].sort()).toEqual(numbers(6).map((partition) => `${topic}/${partition}`))
  },

  'partitions of a killed member move, and its uncommitted records come again': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    const groupId = t.name('group')
    const doomed = await t.another()
    const a = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    const b = t.member(doomed, { label: 'b', groupId, topics: [topic] })
    await a.consumer.start()
    await b.consumer.start()
    await Promise.all([a.settled(1), b.settled(1)])
    const moved = Number(b.owned[0]?.split('/')[1])
    await t.send(...numbers(10).map((number) => text(topic, moved, String(number))))
    await eventually(() => b.handled.length === 10, { what: 'ten records handled' })
    await b.consumer.commit([{ topic, partition: moved, offset: 4, metadata: '' }])
    await t.kill(doomed)
    await a.settled(2)
    await eventually(() => a.offsets(moved).length === 6, { what: 'the uncommitted six' })
    expect(a.offsets(moved)).toEqual(numbers(6, 4))
    expect(a.events.map(({ type }) => type)).not.toContain('lost')
  },
}

/** Sends the case's many records in portions while the case goes on. */
async function sendNumbered(t: CaseContext, topic: string, partitions: number): Promise<void> {
  const producer = await t.producer()
  const portion = Math.ceil(t.manyRecords / 100)
  for (let from = 0; from < t.manyRecords; from += portion) {
    const count = Math.min(portion, t.manyRecords - from)
    await producer.send(
      numbers(count, from).map((number) => text(topic, number % partitions, String(number))),
      OPEN_GUARD,
    )
  }
}

/** Waits until the members have handled this many records, and checks that all of them differ. */
async function expectOnce(members: readonly TestMember[], count: number): Promise<void> {
  const values = (): readonly number[] => members.flatMap(({ handled }) => handled.map(({ value }) => Number(value)))
  const seen = (): number => new Set(values()).size
  await eventually(() => seen() === count, { what: `${count} different records`, limitMs: 20_000 })
  expect(values().length - count).toBe(0)
}
