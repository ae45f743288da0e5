import { expect } from 'vitest'
import type { TestMember } from '../test-member.ts'
import type { CaseContext } from '../case-context.ts'

export const commitCases = {
  'committed offsets come back with their metadata, others are absent': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(3)
    const groupId = t.name('group')
    const { consumer } = await started(t, { topic, groupId })
    const metadata = `m${'é'.repeat(1000)}`
    await consumer.commit([
      { topic, partition: 0, offset: 5, metadata },
      { topic, partition: 2, offset: 0, metadata: '' },
    ])
    const partitions = [0, 1, 2].map((partition) => ({ topic, partition }))
    const expected = [
      { topic, partition: 0, offset: 5, metadata },
      { topic, partition: 2, offset: 0, metadata: '' },
    ]
    expect(await consumer.committed(partitions)).toEqual(expected)
    expect(await (await t.admin()).committed(groupId, partitions)).toEqual(expected)
    await consumer.commit([{ topic, partition: 0, offset: 3, metadata: 'back' }])
    expect(await consumer.committed(partitions.slice(0, 1))).toEqual([
      { topic, partition: 0, offset: 3, metadata: 'back' },
    ])
    await consumer.close()
    expect(await (await t.admin()).committed(groupId, partitions.slice(0, 1))).toMatchObject([{ offset: 3 }])
  },

  'a commit for a partition that is not assigned is refused with NOT_ASSIGNED, and nothing is committed': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    const groupId = t.name('group')
    const a = await started(t, { topic, groupId })
    const b = t.member(await t.another(), { label: 'b', groupId, topics: [topic] })
    await b.consumer.start()
    await Promise.all([a.settled(1), b.settled(1)])
    const [own = ''] = a.owned
    const partition = Number(own.split('/')[1])
    const foreign = 1 - partition
    const commit = a.consumer.commit([
      { topic, partition, offset: 1, metadata: '' },
      { topic, partition: foreign, offset: 1, metadata: '' },
    ])
    await expect(commit).rejects.toMatchObject({
      code: 'NOT_ASSIGNED',
      message: expect.stringMatching(new RegExp(`${topic}.*\\b${foreign}\\b`)),
    })
    expect(await a.consumer.committed([{ topic, partition }])).toEqual([])
    await a.consumer.commit([{ topic, partition, offset: 1, metadata: '' }])
  },

  'offsets that are no safe integers are refused with OFFSET_UNSAFE': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const { consumer } = await started(t, { topic, groupId: t.name('group') })
    for (const offset of [2 ** 53, 0.5, -1, Number.NaN]) {
      await expect(consumer.commit([{ topic, partition: 0, offset, metadata: '' }])).rejects.toMatchObject({
        code: 'OFFSET_UNSAFE',
      })
      expect(() => consumer.seek({ topic, partition: 0 }, offset)).toThrow(
        expect.objectContaining({ code: 'OFFSET_UNSAFE' }),
      )
    }
  },

  'an empty commit resolves': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const { consumer } = await started(t, { topic, groupId: t.name('group') })
    await consumer.commit([])
  },
}

async function started(t: CaseContext, of: { readonly topic: string; readonly groupId: string }): Promise<TestMember> {
  const member = t.member(await t.transport(), { label: 'a', groupId: of.groupId, topics: [of.topic] })
  await member.consumer.start()
  return member
}
