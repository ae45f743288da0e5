import type { OutgoingRecord } from '@millrace/core'
import { expect } from 'vitest'
import { eventually } from '../../eventually.ts'
import { numbers, OPEN_GUARD, text, texts, type CaseContext } from '../case-context.ts'

export const adminCases = {
  'offsets tell beginning and end of each partition': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    await t.send(text(topic, 1, 'a'), text(topic, 1, 'b'))
    const admin = await t.admin()
    const partitions = [
      { topic, partition: 0 },
      { topic, partition: 1 },
    ]
    const expected = [
      { topic, partition: 0, beginning: 0, end: 0 },
      { topic, partition: 1, beginning: 0, end: 2 },
    ]
    expect(await admin.offsets(partitions, 'read-committed')).toEqual(expected)
    expect(await admin.offsets(partitions, 'read-uncommitted')).toEqual(expected)
  },

  'records before an offset are deleted, and what is left keeps its offsets': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    const admin = await t.admin()
    const bounds = async (): Promise<readonly (readonly [beginning: number, end: number])[]> =>
      (await admin.offsets(partitions, 'read-committed')).map(({ beginning, end }) => [beginning, end])
    const left = async (): Promise<readonly (readonly [offset: number, value: string | undefined])[]> =>
      ((await t.readAll(topic, 2))[0] ?? []).map(({ offset, value }) => [offset, value?.toString()])
    const partitions = numbers(2).map((partition) => ({ topic, partition }))
    await t.send(...['a', 'b'].map((value) => text(topic, 0, value)), text(topic, 1, 'other'))
    await t.send(...['c', 'd', 'e', 'f'].map((value) => text(topic, 0, value)))
    // First an offset within one send, then a later one among the remaining records.
    await admin.deleteRecords([{ topic, partition: 0, offset: 3 }], OPEN_GUARD)
    expect([await bounds(), await left()]).toEqual([
      [
        [3, 6],
        [0, 1],
      ],
      [
        [3, 'd'],
        [4, 'e'],
        [5, 'f'],
      ],
    ])
    await admin.deleteRecords([{ topic, partition: 0, offset: 4 }], OPEN_GUARD)
    // These records are deleted already.
    await admin.deleteRecords([{ topic, partition: 0, offset: 1 }], OPEN_GUARD)
    expect(await left()).toEqual([
      [4, 'e'],
      [5, 'f'],
    ])
    await admin.deleteRecords(
      [
        { topic, partition: 0, offset: 6 },
        { topic, partition: 1, offset: 1 },
      ],
      OPEN_GUARD,
    )
    expect(await bounds()).toEqual([
      [6, 6],
      [1, 1],
    ])
    await admin.deleteRecords([], OPEN_GUARD)
    await t.send(text(topic, 0, 'later'))
    expect(await left()).toEqual([[6, 'later']])
  },

  'deleting very many records leaves exactly the others': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    for (let sent = 0; sent < t.manyRecords; sent += 500)
      await t.send(...numbers(500, sent).map((number) => text(topic, 0, String(number))))
    const admin = await t.admin()
    const offset = t.manyRecords - 250
    await admin.deleteRecords([{ topic, partition: 0, offset }], OPEN_GUARD)
    const [records] = await t.readAll(topic, 1)
    expect(texts(records)).toEqual(numbers(250, offset).map(String))
    expect(records?.[0]?.offset).toBe(offset)
  },

  'a position whose record was deleted is out of range': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    await t.send(text(topic, 0, 'a'), text(topic, 0, 'b'))
    await (await t.admin()).deleteRecords([{ topic, partition: 0, offset: 1 }], OPEN_GUARD)
    const reader = (await t.transport()).reader({ isolation: 'read-committed' })
    reader.assign({ topic, partition: 0 }, 0)
    await expect(reader.batches()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
  },

  'records are deleted only of what is there, and only as long as the guard lets them': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(1)
    await t.send(text(topic, 0, 'a'))
    const admin = await t.admin()
    const refused = (offset: number, where: { topic?: string; partition?: number } = {}): Promise<unknown> =>
      admin.deleteRecords([{ topic, partition: 0, ...where, offset }], OPEN_GUARD).then(
        () => undefined,
        (error: unknown) => error,
      )
    expect(await refused(2)).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', message: expect.stringContaining(topic) })
    expect(await refused(1, { topic: t.name('absent') })).toMatchObject({ code: 'TOPIC_MISSING' })
    expect(await refused(1, { partition: 1 })).toMatchObject({ code: 'PARTITION_MISSING' })
    expect(await refused(0.5)).toMatchObject({ code: 'OFFSET_UNSAFE' })
    const guard = (): never => {
      throw new Error('The guard says no.')
    }
    await expect(admin.deleteRecords([{ topic, partition: 0, offset: 1 }], { guard })).rejects.toThrow('says no')
    expect(texts((await t.readAll(topic, 1))[0])).toEqual(['a'])
  },

  'a group that never was has committed nothing': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const admin = await t.admin()
    expect(await admin.committed(t.name('group'), [{ topic, partition: 0 }])).toEqual([])
    expect(await admin.committed(t.name('group'))).toEqual([])
  },

  'all that a group has committed is told without asking for each partition': async (t: CaseContext): Promise<void> => {
    const [one, two] = [await t.topic(2), await t.topic(1)]
    const groupId = t.name('group')
    const admin = await t.admin()
    const offsets = [
      { topic: one, partition: 1, offset: 3, metadata: 'm' },
      { topic: two, partition: 0, offset: 4, metadata: '' },
    ]
    await admin.commit(groupId, offsets)
    await admin.commit(t.name('group'), [{ topic: one, partition: 0, offset: 5, metadata: '' }])
    const found = await admin.committed(groupId)
    expect(found.toSorted((a, b) => a.offset - b.offset)).toEqual(offsets)
    expect(await admin.committed(groupId, [])).toEqual([])
  },

  'the offset of a time is that of the first record that is not older': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(3)
    const at = (partition: number, timestamp: number): OutgoingRecord => ({ ...text(topic, partition, 'x'), timestamp })
    const now = 1_700_000_000_000
    await t.send(at(0, now), at(0, now + 10), at(0, now + 5), at(0, now + 20), at(1, now - 10))
    const partitions = numbers(3).map((partition) => ({ topic, partition }))
    const admin = await t.admin()
    const offsets = async (timestampMs: number): Promise<readonly number[]> =>
      (await admin.offsetsAt(partitions, timestampMs)).map(({ offset }) => offset)
    expect(await offsets(0)).toEqual([0, 0, 0])
    expect(await offsets(now)).toEqual([0, 1, 0])
    expect(await offsets(now + 1)).toEqual([1, 1, 0])
    expect(await offsets(now + 11)).toEqual([3, 1, 0])
    expect(await offsets(now + 21)).toEqual([4, 1, 0])
    const missing = { topic: t.name('absent'), partition: 0 }
    await expect(admin.offsetsAt([missing], now)).rejects.toMatchObject({ code: 'TOPIC_MISSING' })
  },

  'offsets of a group without members can be set, and its next member goes on there': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    const groupId = t.name('group')
    const admin = await t.admin()
    const partitions = numbers(2).map((partition) => ({ topic, partition }))
    await admin.commit(groupId, [{ topic, partition: 1, offset: 7, metadata: 'by hand' }])
    expect(await admin.committed(groupId, partitions)).toEqual([
      { topic, partition: 1, offset: 7, metadata: 'by hand' },
    ])
    const { consumer } = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    await consumer.start()
    expect(await consumer.committed(partitions)).toEqual([{ topic, partition: 1, offset: 7, metadata: 'by hand' }])
    const moved = { topic, partition: 1, offset: 0, metadata: '' }
    await expect(admin.commit(groupId, [moved])).rejects.toMatchObject({
      code: 'GROUP_NOT_EMPTY',
      message: expect.stringContaining(groupId),
    })
    await consumer.close()
    await eventually(async () => (await admin.members(groupId)).length === 0, { what: 'the member to be gone' })
    await admin.commit(groupId, [moved, { topic, partition: 0, offset: 3, metadata: '' }])
    expect((await admin.committed(groupId, partitions)).map(({ offset }) => offset)).toEqual([3, 0])
  },

  'offsets of what is not there are not set, and none beside them': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const groupId = t.name('group')
    const admin = await t.admin()
    const good = { topic, partition: 0, offset: 1, metadata: '' }
    await expect(admin.commit(groupId, [good, { ...good, topic: t.name('absent') }])).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
    })
    await expect(admin.commit(groupId, [good, { ...good, partition: 1 }])).rejects.toMatchObject({
      code: 'PARTITION_MISSING',
    })
    expect(await admin.committed(groupId, [{ topic, partition: 0 }])).toEqual([])
  },

  'a group tells its members, and is deleted with its offsets only once they have left': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(1)
    const groupId = t.name('group')
    const partitions = [{ topic, partition: 0 }]
    const admin = await t.admin()
    expect(await admin.members(groupId)).toEqual([])
    const { consumer, events } = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    await consumer.start()
    await consumer.commit([{ topic, partition: 0, offset: 5, metadata: '' }])
    const [joined] = events
    const id = joined?.type === 'assign' ? joined.memberId : ''
    expect(await admin.members(groupId)).toEqual([{ id, instanceId: undefined, host: expect.stringMatching(/./) }])
    await expect(admin.deleteGroup(groupId)).rejects.toMatchObject({
      code: 'GROUP_NOT_EMPTY',
      message: expect.stringContaining(groupId),
    })
    expect(await admin.committed(groupId, partitions)).toMatchObject([{ offset: 5 }])
    await consumer.close()
    await eventually(async () => (await admin.members(groupId)).length === 0, { what: 'the member to be gone' })
    await admin.deleteGroup(groupId)
    expect(await admin.committed(groupId, partitions)).toEqual([])
  },

  'deleting a group that never was, or again, does nothing': async (t: CaseContext): Promise<void> => {
    const admin = await t.admin()
    const groupId = t.name('group')
    await admin.deleteGroup(groupId)
    await admin.deleteGroup(groupId)
    expect(await admin.members(groupId)).toEqual([])
  },
}
