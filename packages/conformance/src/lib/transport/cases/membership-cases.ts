import { expect } from 'vitest'
import { deferred, partitionKey, systemClock, type TopicPartition } from '@millrace/core'
import type { AssignmentChange } from '@millrace/core/driver'
import { eventually, within } from '../../eventually.ts'
import { numbers, type CaseContext } from '../case-context.ts'
import type { TestMember } from '../test-member.ts'

export const membershipCases = {
  'a lone member is told its id, generation, all partitions and the group data': async (
    t: CaseContext,
  ): Promise<void> => {
    const [one, two] = [await t.topic(2), await t.topic(1)]
    const member = t.member(await t.transport(), { label: 'alone', groupId: t.name('group'), topics: [one, two] })
    await member.consumer.start()
    const [event] = member.events
    expect(member.events).toHaveLength(1)
    expect(event).toMatchObject({ type: 'assign', lost: [], kept: [] })
    expect(event?.type === 'assign' && event.memberId.length > 0 && Number.isInteger(event.generation)).toBe(true)
    expect(member.owned).toEqual([`${one}/0`, `${one}/1`, `${two}/0`].sort())
    expect(member.labels).toBe('["alone"]')
  },

  'start rejects with TOPIC_MISSING when a topic does not exist': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const absent = t.name('absent')
    const { consumer } = t.member(await t.transport(), {
      label: 'a',
      groupId: t.name('group'),
      topics: [topic, absent],
    })
    await expect(consumer.start()).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: expect.stringContaining(absent),
    })
  },

  'members with another assignor are refused with GROUP_INCONSISTENT': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const groupId = t.name('group')
    const first = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    await first.consumer.start()
    const second = t.member(await t.another(), { label: 'b', groupId, topics: [topic], assignorName: 'another' })
    await expect(second.consumer.start()).rejects.toMatchObject({ code: 'GROUP_INCONSISTENT' })
    await first.settled(1)
  },

  'every member gets the group data and its own, and member data is asked anew at each join': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(4)
    const groupId = t.name('group')
    const a = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    await a.consumer.start()
    const before = a.owned
    await b.consumer.start()
    await Promise.all([a.settled(2), b.settled(2)])
    expect([a.labels, b.labels]).toEqual(['["a","b"]', '["a","b"]'])
    expect([a.ownData, b.ownData]).toEqual(['a', 'b'])
    // The assignor lets a member keep what its data lists, so a kept two of its own.
    expect(a.owned.every((key) => before.includes(key))).toBe(true)
    expect([...a.owned, ...b.owned].sort()).toEqual(before)
  },

  'members may subscribe to different topics': async (t: CaseContext): Promise<void> => {
    const [one, two] = [await t.topic(1), await t.topic(1)]
    const groupId = t.name('group')
    const a = t.member(await t.transport(), { label: 'a', groupId, topics: [one] })
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [two] })
    await a.consumer.start()
    await b.consumer.start()
    await eventually(() => [...a.owned, ...b.owned].length === 2, { what: 'both topics to be given out' })
  },

  'a member whose partitions are more than there are still belongs': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const groupId = t.name('group')
    const a = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    await a.consumer.start()
    await b.consumer.start()
    await Promise.all([a.settled(1), b.settled(0)])
    expect(b.events.at(-1)).toMatchObject({ type: 'assign', gained: [], kept: [], lost: [] })
    await a.leave()
    await b.settled(1)
  },

  'rejoin asks for a rebalance of all': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    const groupId = t.name('group')
    const a = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    await a.consumer.start()
    await b.consumer.start()
    await Promise.all([a.settled(1), b.settled(1)])
    const [seenA, seenB] = [a.events.length, b.events.length]
    b.consumer.rejoin()
    for (const [member, seen] of [
      [a, seenA],
      [b, seenB],
    ] as const) {
      await eventually(() => member.events.length >= seen + 2, { what: 'a revoke and an assignment' })
      expect(member.events[seen]).toMatchObject({ type: 'revoke' })
      expect(member.events[seen + 1]).toMatchObject({ type: 'assign', lost: [], gained: [], kept: [{}] })
    }
  },

  'the last heartbeat is known, and goes on': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const clock = systemClock()
    const { consumer } = t.member(await t.transport(), { label: 'a', groupId: t.name('group'), topics: [topic] })
    expect(consumer.lastHeartbeatMs()).toBe(-Infinity)
    const from = clock.monotonic()
    await consumer.start()
    const first = consumer.lastHeartbeatMs()
    expect(first).toBeGreaterThanOrEqual(from - 1)
    expect(first).toBeLessThanOrEqual(clock.monotonic())
    await eventually(() => consumer.lastHeartbeatMs() > first, { what: 'another heartbeat' })
  },

  'a static member that was killed and comes back has its partitions again, without a rebalance': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(4)
    const groupId = t.name('group')
    const a = t.member(await t.transport(), { label: 'a', groupId, topics: [topic], instanceId: 'static-a' })
    const killed = await t.another()
    const b = t.member(killed, { label: 'b', groupId, topics: [topic], instanceId: 'static-b' })
    await a.consumer.start()
    await b.consumer.start()
    await Promise.all([a.settled(2), b.settled(2)])
    const events = a.events.length
    const before = b.owned
    await t.kill(killed)
    const returned = t.member(await t.another(), { label: 'b again', groupId, topics: [topic], instanceId: 'static-b' })
    await returned.consumer.start()
    await returned.settled(2)
    expect(returned.owned).toEqual(before)
    expect(returned.labels).toBe('["a","b"]')
    expect(a.events.length).toBe(events)
  },

  'a static member that is closed without leaving keeps its place; one that leaves does not': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(4)
    const groupId = t.name('group')
    const a = t.member(await t.transport(), { label: 'a', groupId, topics: [topic], instanceId: 'static-a' })
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic], instanceId: 'static-b' })
    await a.consumer.start()
    await b.consumer.start()
    await Promise.all([a.settled(2), b.settled(2)])
    const events = a.events.length
    const before = b.owned
    await b.consumer.close({ leave: false })
    const returned = t.member(await t.another(), { label: 'b again', groupId, topics: [topic], instanceId: 'static-b' })
    await returned.consumer.start()
    await returned.settled(2)
    expect([returned.owned, a.events.length]).toEqual([before, events])
    await returned.consumer.close()
    await a.settled(4)
  },

  'a member whose instance id is taken over is fenced': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    const groupId = t.name('group')
    const old = t.member(await t.transport(), { label: 'old', groupId, topics: [topic], instanceId: 'one' })
    await old.consumer.start()
    const successor = t.member(await t.another(), { label: 'new', groupId, topics: [topic], instanceId: 'one' })
    await successor.consumer.start()
    await successor.settled(2)
    const commit = old.consumer.commit([{ topic, partition: 0, offset: 0, metadata: '' }])
    await expect(commit).rejects.toMatchObject({ code: 'MEMBER_FENCED' })
    await eventually(() => old.events.some(({ type }) => type === 'lost'), { what: 'onLost' })
    await eventually(() => old.ended, { what: 'its batches to end' })
    expect(old.ended?.error).toMatchObject({ code: 'INSTANCE_TAKEN', detail: expect.stringContaining('"one"') })
    await successor.settled(2)
    expect(numbers(2).map((partition) => `${topic}/${partition}`)).toEqual(successor.owned)
  },

  'a member that is thrown out hears onLost and joins again': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    const transport = await t.transport()
    const member = t.member(transport, { label: 'a', groupId: t.name('group'), topics: [topic] })
    await member.consumer.start()
    const [first] = member.events
    await t.expire(transport)
    const commit = member.consumer.commit([{ topic, partition: 0, offset: 0, metadata: '' }])
    await expect(commit).rejects.toMatchObject({ code: 'MEMBER_FENCED' })
    await eventually(() => member.events.length >= 3, { what: 'onLost and a new assignment', limitMs: 20_000 })
    expect(member.events.map(({ type }) => type)).toEqual(['assign', 'lost', 'assign'])
    const last = member.events[2]
    expect(last).toMatchObject({ lost: [], kept: [], gained: [{}, {}] })
    expect(last?.type === 'assign' && first?.type === 'assign' && last.memberId !== first.memberId).toBe(true)
  },

  'a member that is thrown out while it drains hears onLost at once, and of the next generation when it has drained':
    async (t: CaseContext): Promise<void> => {
      const topic = await t.topic(2)
      const transport = await t.transport()
      const lost = deferred<void>()
      const drained = deferred<void>()
      const seen: string[] = []
      const member: TestMember = t.member(transport, {
        label: 'a',
        groupId: t.name('group'),
        topics: [topic],
        beforeRevoke: async () => {
          await t.expire(transport)
          await lost.promise
          seen.push(...member.events.map(({ type }) => type))
          drained.resolve()
        },
        onLost: lost.resolve,
      })
      await member.consumer.start()
      member.consumer.rejoin()
      await within(drained.promise, { what: 'onLost during onRevoke', limitMs: 10_000 })
      expect(seen).toEqual(['assign', 'revoke', 'lost'])
      await member.settled(2)
      expect(member.events.map(({ type }) => type)).toEqual(['assign', 'revoke', 'lost', 'assign'])
      expect(member.events.at(-1)).toMatchObject({ lost: [], kept: [], gained: [{}, {}] })
    },

  'a member that has missed a generation keeps nothing: others may have had its partitions in between': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(6)
    const groupId = t.name('group')
    // The first member leads, so it must not be the one without news.
    const leader = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    const other = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    const deaf = await t.another()
    let hear = (): void => {}
    let isDeafAtJoins = false
    const member: TestMember = t.member(deaf, {
      label: 'c',
      groupId,
      topics: [topic],
      onJoin: () => {
        if (isDeafAtJoins) hear = t.deafen(deaf)
      },
    })
    const all = [leader, other, member]
    for (const { consumer } of all) await consumer.start()
    await Promise.all(all.map((each) => each.settled(2)))

    // All have joined, and one gets no news of the result.
    const counts = all.map((each) => assignments(each).length)
    isDeafAtJoins = true
    leader.consumer.rejoin()
    for (const [nth, each] of [leader, other].entries())
      await eventually(() => assignments(each).length > (counts[nth] ?? 0), { what: 'a generation that one misses' })
    isDeafAtJoins = false
    // The next rebalance has begun when a member that did not ask for it is notified.
    const { length } = other.events
    leader.consumer.rejoin()
    await eventually(() => other.events.length > length, { what: 'the next rebalance' })
    hear()
    await eventually(() => assignments(member).length > (counts[2] ?? 0), { what: 'a generation that it hears of' })
    await Promise.all(all.map((each) => each.settled(2)))
    const names = (partitions: readonly TopicPartition[]): readonly string[] => partitions.map(partitionKey).sort()
    const [before, after] = assignments(member).slice(-2)
    if (before === undefined || after === undefined) throw new Error('There are no two assignments.')
    expect(after.generation).toBeGreaterThan(before.generation + 1)
    expect(after.kept).toEqual([])
    expect(names(after.lost)).toEqual(names([...before.kept, ...before.gained]))
    expect(after.gained).toHaveLength(2)
  },

  'a listener that rejects ends the batches with its error': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const groupId = t.name('group')
    const failure = new Error('the listener failed')
    const failing = (): Promise<void> => Promise.reject(failure)
    const a = t.member(await t.transport(), { label: 'a', groupId, topics: [topic], beforeRevoke: failing })
    await a.consumer.start()
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    const starting = b.consumer.start()
    await eventually(() => a.ended, { what: 'the batches to end' })
    expect(a.ended?.error).toBe(failure)
    await a.consumer.close()
    await starting
    await b.settled(1)
  },
}

function assignments({ events }: TestMember): readonly AssignmentChange[] {
  return events.filter((event) => event.type === 'assign')
}
