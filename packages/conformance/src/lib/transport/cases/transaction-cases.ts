import { expect } from 'vitest'
import { eventually } from '../../eventually.ts'
import { numbers, OPEN_GUARD, text, texts, type CaseContext } from '../case-context.ts'

const FENCED = { code: 'PRODUCER_FENCED' }

export const transactionCases = {
  'a commit makes records and offsets visible together, and nothing before it': async (
    t: CaseContext,
  ): Promise<void> => {
    const [one, two] = [await t.topic(1), await t.topic(2)]
    const groupId = t.name('group')
    const admin = await t.admin()
    const source = [{ topic: one, partition: 0 }]
    const producer = await t.transactional()
    await producer.begin()
    await producer.send([text(one, 0, 'a'), text(two, 1, 'b')], OPEN_GUARD)
    await producer.send([text(two, 0, 'c')], OPEN_GUARD)
    await producer.sendOffsets(groupId, [{ topic: one, partition: 0, offset: 3, metadata: 'm' }])
    expect((await t.readAll(one, 1)).flatMap(texts)).toEqual([])
    expect((await t.readAll(two, 2)).flatMap(texts)).toEqual([])
    expect(await admin.committed(groupId, source)).toEqual([])
    await producer.commit()
    await eventually(async () => (await admin.committed(groupId, source)).length === 1, { what: 'the offsets' })
    expect(await admin.committed(groupId, source)).toEqual([{ topic: one, partition: 0, offset: 3, metadata: 'm' }])
    await eventually(async () => (await t.readAll(two, 2)).flat().length === 2, { what: 'the records' })
    expect((await t.readAll(one, 1)).map(texts)).toEqual([['a']])
    expect((await t.readAll(two, 2)).map(texts)).toEqual([['c'], ['b']])
  },

  'an aborted transaction leaves nothing to see, and the next one works': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const groupId = t.name('group')
    const producer = await t.transactional()
    await producer.begin()
    await producer.send([text(topic, 0, 'never')], OPEN_GUARD)
    await producer.sendOffsets(groupId, [{ topic, partition: 0, offset: 9, metadata: '' }])
    await producer.abort()
    await producer.begin()
    await producer.send([text(topic, 0, 'seen')], OPEN_GUARD)
    await producer.commit()
    await eventually(async () => (await t.readAll(topic, 1)).flat().length > 0, { what: 'the second transaction' })
    expect((await t.readAll(topic, 1)).map(texts)).toEqual([['seen']])
    expect(await (await t.admin()).committed(groupId, [{ topic, partition: 0 }])).toEqual([])
  },

  'empty transactions commit and abort': async (t: CaseContext): Promise<void> => {
    const producer = await t.transactional()
    await producer.begin()
    await producer.commit()
    await producer.begin()
    await producer.abort()
    const topic = await t.topic(1)
    await producer.begin()
    await producer.sendOffsets(t.name('group'), [{ topic, partition: 0, offset: 1, metadata: '' }])
    await producer.commit()
  },

  'many transactions with only offsets follow each other': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const groupId = t.name('group')
    const producer = await t.transactional()
    for (const offset of numbers(20)) {
      await producer.begin()
      await producer.sendOffsets(groupId, [{ topic, partition: 0, offset, metadata: '' }])
      await producer.commit()
    }
    const admin = await t.admin()
    await eventually(async () => (await admin.committed(groupId, [{ topic, partition: 0 }]))[0]?.offset === 19, {
      what: 'the last offset',
    })
  },

  'of two interleaved transactions the aborted one stays invisible': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const [one, two] = [await t.transactional(), await t.transactional()]
    const plain = await t.producer()
    await one.begin()
    await two.begin()
    await one.send([text(topic, 0, 'one a')], OPEN_GUARD)
    await two.send([text(topic, 0, 'two a')], OPEN_GUARD)
    await plain.send([text(topic, 0, 'plain')], OPEN_GUARD)
    await one.send([text(topic, 0, 'one b')], OPEN_GUARD)
    await two.send([text(topic, 0, 'two b')], OPEN_GUARD)
    await one.abort()
    await two.commit()
    await one.begin()
    await one.send([text(topic, 0, 'one c')], OPEN_GUARD)
    await one.commit()
    await eventually(async () => (await t.readAll(topic, 1)).flat().length === 4, { what: 'four records' })
    const values = texts((await t.readAll(topic, 1))[0])
    expect([...values].sort()).toEqual(['one c', 'plain', 'two a', 'two b'])
    expect(values.filter((value) => value?.startsWith('two'))).toEqual(['two a', 'two b'])
    expect(values.at(-1)).toBe('one c')
  },

  'aborted transactions that began earlier and later than a committed one stay invisible': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(1)
    const producers = [await t.transactional(), await t.transactional(), await t.transactional()]
    for (const producer of producers) await producer.begin()
    for (const round of numbers(10)) {
      for (const [index, producer] of producers.entries())
        await producer.send([text(topic, 0, `${index} ${round}`)], OPEN_GUARD)
    }
    const [first, second, third] = producers
    await third?.abort()
    await second?.commit()
    await first?.abort()
    await eventually(async () => (await t.readAll(topic, 1)).flat().length === 10, { what: 'the committed ten' })
    expect((await t.readAll(topic, 1)).map(texts)).toEqual([numbers(10).map((round) => `1 ${round}`)])
  },

  'a new producer of the same id fences the old one': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const id = t.name('transaction')
    const old = await t.transactional(id)
    await old.begin()
    await old.send([text(topic, 0, 'old')], OPEN_GUARD)
    const successor = await t.transactional(id)
    for (const late of ['late', 'later'])
      await expect(old.send([text(topic, 0, late)], OPEN_GUARD)).rejects.toMatchObject(FENCED)
    await successor.begin()
    await successor.send([text(topic, 0, 'new')], OPEN_GUARD)
    await successor.commit()
    await eventually(async () => (await t.readAll(topic, 1)).flat().length > 0, { what: 'the new record' })
    expect((await t.readAll(topic, 1)).map(texts)).toEqual([['new']])
  },

  'a fenced producer can neither commit nor add offsets': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const [id, groupId] = [t.name('transaction'), t.name('group')]
    const old = await t.transactional(id)
    await old.begin()
    await old.send([text(topic, 0, 'old')], OPEN_GUARD)
    await old.sendOffsets(groupId, [{ topic, partition: 0, offset: 5, metadata: '' }])
    await t.transactional(id)
    await expect(old.commit()).rejects.toMatchObject(FENCED)
    const another = t.name('transaction')
    const second = await t.transactional(another)
    await second.begin()
    await t.transactional(another)
    await expect(second.sendOffsets(groupId, [{ topic, partition: 0, offset: 6, metadata: '' }])).rejects.toMatchObject(
      FENCED,
    )
    expect((await t.readAll(topic, 1)).flat()).toEqual([])
    expect(await (await t.admin()).committed(groupId, [{ topic, partition: 0 }])).toEqual([])
  },

  'fence first, then ask for the committed offsets: what was pending does not count': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(1)
    const [id, groupId] = [t.name('transaction'), t.name('group')]
    const at = [{ topic, partition: 0 }]
    const old = await t.transactional(id)
    await old.begin()
    await old.sendOffsets(groupId, [{ topic, partition: 0, offset: 10, metadata: '' }])
    await old.commit()
    await old.begin()
    await old.sendOffsets(groupId, [{ topic, partition: 0, offset: 20, metadata: '' }])
    const successor = await t.transactional(id)
    const member = t.member(await t.transport(), { label: 'a', groupId, topics: [topic], seekGained: false })
    await member.consumer.start()
    expect(await member.consumer.committed(at)).toMatchObject([{ offset: 10 }])
    await expect(old.commit()).rejects.toMatchObject(FENCED)
    expect(await member.consumer.committed(at)).toMatchObject([{ offset: 10 }])
    await successor.begin()
    await successor.sendOffsets(groupId, [{ topic, partition: 0, offset: 11, metadata: '' }])
    await successor.commit()
    await eventually(async () => (await member.consumer.committed(at))[0]?.offset === 11, {
      what: 'the offset of the successor',
    })
  },

  'the end is the last stable offset while a transaction is open': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    await t.send(text(topic, 0, 'a'), text(topic, 0, 'b'))
    const producer = await t.transactional()
    await producer.begin()
    await producer.send([text(topic, 0, 'open')], OPEN_GUARD)
    const reader = (await t.transport()).reader({ isolation: 'read-committed' })
    const end = async (): Promise<number | undefined> => (await reader.offsets([{ topic, partition: 0 }]))[0]?.end
    expect(await end()).toBe(2)
    expect(await (await t.admin()).offsets([{ topic, partition: 0 }], 'read-committed')).toMatchObject([{ end: 2 }])
    expect((await t.readAll(topic, 1)).map(texts)).toEqual([['a', 'b']])
    await producer.commit()
    await eventually(async () => ((await end()) ?? 0) > 2, { what: 'the end to move' })
    expect((await t.readAll(topic, 1)).map(texts)).toEqual([['a', 'b', 'open']])
  },

  'batches tell the last stable offset as the end while a transaction is open, to those who read all the end of the log':
    async (t: CaseContext): Promise<void> => {
      const topic = await t.topic(1)
      await t.send(text(topic, 0, 'a'), text(topic, 0, 'b'))
      const producer = await t.transactional()
      await producer.begin()
      await producer.send([text(topic, 0, 'open')], OPEN_GUARD)
      const transport = await t.transport()
      const visible = transport.capabilities.uncommittedVisible ? 3 : 2
      const expected = [
        ['read-committed', 2],
        ['read-uncommitted', visible],
      ] as const
      for (const [isolation, end] of expected) {
        const reader = transport.reader({ isolation })
        reader.assign({ topic, partition: 0 }, 0)
        const ends: number[] = []
        for await (const { endOffset, nextOffset } of reader.batches()) {
          ends.push(endOffset)
          if (nextOffset >= end) break
        }
        await reader.close()
        expect(new Set(ends), isolation).toEqual(new Set([end]))
      }
      const member = t.member(transport, { label: 'a', groupId: t.name('group'), topics: [topic] })
      await member.consumer.start()
      await eventually(() => member.handled.length === 2, { what: 'the records before it' })
      expect(new Set(member.batches.map(({ endOffset }) => endOffset))).toEqual(new Set([2]))
      await producer.commit()
      await eventually(() => member.handled.length === 3, { what: 'the record of the transaction' })
      expect(member.batches.at(-1)?.endOffset).toBeGreaterThan(2)
    },

  'a read-committed reader reaches the end behind an aborted transaction': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    await t.send(text(topic, 0, 'a'))
    const producer = await t.transactional()
    await producer.begin()
    await producer.send(
      numbers(50).map((number) => text(topic, 0, `never ${number}`)),
      OPEN_GUARD,
    )
    await producer.abort()
    expect((await t.readAll(topic, 1)).map(texts)).toEqual([['a']])
    await t.send(text(topic, 0, 'z'))
    await eventually(async () => (await t.readAll(topic, 1)).flat().length === 2, { what: 'the record behind it' })
    expect((await t.readAll(topic, 1)).map(texts)).toEqual([['a', 'z']])
  },

  'a consumer that reads committed records sees those of committed transactions only': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    const member = t.member(await t.transport(), { label: 'a', groupId: t.name('group'), topics: [topic] })
    await member.consumer.start()
    const producer = await t.transactional()
    for (const round of numbers(6)) {
      await producer.begin()
      await producer.send([text(topic, 0, `${round}`), text(topic, 1, `${round}`)], OPEN_GUARD)
      if (round % 2 === 0) await producer.commit()
      else await producer.abort()
    }
    await t.send(text(topic, 0, 'end'), text(topic, 1, 'end'))
    await eventually(() => member.handled.filter(({ value }) => value === 'end').length === 2, { what: 'the end' })
    for (const partition of numbers(2)) {
      const values = member.handled.filter((record) => record.partition === partition).map(({ value }) => value)
      expect(values).toEqual(['0', '2', '4', 'end'])
    }
  },

  'what the broker refuses for good is told by the outcome in a transaction too': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(1)
    const producer = await t.transactional()
    await producer.begin()
    const outcomes = await producer.send(
      [text(topic, 0, 'a'), text(t.name('absent'), 0, 'b'), text(topic, 5, 'c')],
      OPEN_GUARD,
    )
    expect(outcomes).toMatchObject([
      { ok: true },
      { ok: false, error: { code: 'TOPIC_MISSING' } },
      { ok: false, error: { code: 'PARTITION_MISSING' } },
    ])
    await producer.commit()
    await eventually(async () => (await t.readAll(topic, 1)).flat().length === 1, { what: 'the record that was fine' })
  },
}
