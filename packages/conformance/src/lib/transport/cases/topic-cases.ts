import { expect } from 'vitest'
import { eventually } from '../../eventually.ts'
import { text, type CaseContext } from '../case-context.ts'

export const topicCases = {
  'topics are listed by name and all together, missing ones absent': async (t: CaseContext): Promise<void> => {
    const [one, two] = [await t.topic(1), await t.topic(3)]
    const admin = await t.admin()
    const named = await admin.topics([two, t.name('absent')])
    expect(named.map(({ name, partitions }) => ({ name, partitions }))).toEqual([{ name: two, partitions: 3 }])
    const all = (await admin.topics()).map(({ name }) => name)
    expect(all).toContain(one)
    expect(all).toContain(two)
  },

  'creating a topic that exists leaves it as it is': async (t: CaseContext): Promise<void> => {
    const name = await t.topic(2)
    const other = t.name('topic')
    const admin = await t.admin()
    await t.send(text(name, 1, 'kept'))
    const spec = { replicationFactor: -1, config: {} }
    await admin.createTopics([
      { ...spec, name, partitions: 5 },
      { ...spec, name: other, partitions: 1 },
    ])
    expect((await admin.topics([name]))[0]?.partitions).toBe(2)
    expect((await admin.topics([other]))[0]?.partitions).toBe(1)
    expect((await t.readAll(name, 2))[1]).toHaveLength(1)
  },

  'settings of topics are told as they hold, missing topics are absent': async (t: CaseContext): Promise<void> => {
    const plain = await t.topic(1, { 'retention.ms': '3600000', 'max.message.bytes': '20000' })
    const table = await t.topic(3, { 'cleanup.policy': 'compact', 'delete.retention.ms': '60000' })
    const both = await t.topic(1, { 'cleanup.policy': 'compact,delete' })
    const admin = await t.admin()
    expect(await admin.topicSettings([t.name('absent'), table, plain, both])).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          name: plain,
          compacted: false,
          expires: true,
          retentionMs: 3_600_000,
          maxBatchBytes: 20_000,
        }),
        expect.objectContaining({ name: table, compacted: true, expires: false, tombstoneMs: 60_000 }),
        // The suite's topics keep everything by default.
        expect.objectContaining({ name: both, compacted: true, expires: true, retentionMs: undefined }),
      ]),
    )
    const [settings, ...more] = await admin.topicSettings([plain])
    expect(more).toEqual([])
    expect(settings?.replicas).toBeGreaterThanOrEqual(settings?.minInSyncReplicas ?? Infinity)
    expect(await admin.brokers()).toBeGreaterThanOrEqual(settings?.replicas ?? Infinity)
    expect(await admin.topicSettings([])).toEqual([])
  },

  'topics can be created by several clients at once': async (t: CaseContext): Promise<void> => {
    const spec = { name: t.name('topic'), partitions: 2, replicationFactor: -1, config: {} }
    const [a, b] = [await t.admin(), (await t.another()).admin()]
    await Promise.all([a.createTopics([spec]), b.createTopics([spec])])
    expect(await t.send(text(spec.name, 1, 'x'))).toMatchObject([{ ok: true }])
  },

  'a topic that makes no sense is refused with TOPIC_INVALID': async (t: CaseContext): Promise<void> => {
    const admin = await t.admin()
    const spec = { partitions: 1, replicationFactor: -1, config: {} }
    await expect(admin.createTopics([{ ...spec, name: 'no spaces in names' }])).rejects.toMatchObject({
      code: 'TOPIC_INVALID',
    })
    const name = t.name('topic')
    await expect(admin.createTopics([{ ...spec, name, partitions: 0 }])).rejects.toMatchObject({
      code: 'TOPIC_INVALID',
    })
    expect(await admin.topics([name])).toEqual([])
  },

  'a deleted topic is gone, and deleting it again does nothing': async (t: CaseContext): Promise<void> => {
    const name = await t.topic(1)
    const admin = await t.admin()
    await admin.deleteTopics([name])
    await eventually(async () => (await admin.topics([name])).length === 0, { what: 'the topic to be gone' })
    await admin.deleteTopics([name])
  },

  'a deleted topic takes its committed offsets along: made again, it is read from its beginning': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(1)
    const groupId = t.name('group')
    const admin = await t.admin()
    const at = { topic, partition: 0 }
    await t.send(text(topic, 0, 'old'), text(topic, 0, 'old'))
    await admin.commit(groupId, [{ ...at, offset: 2, metadata: '' }])
    expect(await admin.committed(groupId, [at])).toMatchObject([{ offset: 2 }])
    await admin.deleteTopics([topic])
    const forgotten = async (): Promise<boolean> => (await admin.committed(groupId)).length === 0
    await eventually(forgotten, { what: 'the group to forget the topic', limitMs: 10_000 })
    await admin.createTopics([{ name: topic, partitions: 1, replicationFactor: -1, config: {} }])
    await t.send(text(topic, 0, 'new 0'), text(topic, 0, 'new 1'), text(topic, 0, 'new 2'))
    const member = t.member(await t.transport(), { label: 'a', groupId, topics: [topic] })
    await member.consumer.start()
    await eventually(() => member.handled.length === 3, { what: 'all records of the new topic' })
    expect(member.handled.map(({ value }) => value)).toEqual(['new 0', 'new 1', 'new 2'])
  },

  'the id of a topic stays, and changes when it is made again': async (t: CaseContext): Promise<void> => {
    const spec = { name: t.name('topic'), partitions: 1, replicationFactor: -1, config: {} }
    const admin = await t.admin()
    const id = async (): Promise<string | undefined> => (await admin.topics([spec.name]))[0]?.id
    await admin.createTopics([spec])
    const first = await id()
    expect(first).toBeTypeOf('string')
    expect(await id()).toBe(first)
    await admin.deleteTopics([spec.name])
    await eventually(async () => (await id()) === undefined, { what: 'the topic to be gone' })
    await admin.createTopics([spec])
    expect(await id()).not.toBe(first)
  },
}
