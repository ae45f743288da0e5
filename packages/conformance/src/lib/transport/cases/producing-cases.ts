import { expect } from 'vitest'
import type { OutgoingRecord, RawHeaders } from '@millrace/core'
import { numbers, OPEN_GUARD, text, texts, type CaseContext } from '../case-context.ts'

export const producingCases = {
  'records of a partition keep the order in which they were sent': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(3)
    const producer = await t.producer()
    for (let round = 0; round < 5; round++) {
      const records = numbers(300, round * 300).map((number) => text(topic, number % 3, String(number)))
      const outcomes = await producer.send(records, OPEN_GUARD)
      expect(outcomes).toEqual(numbers(300).map((index) => ({ ok: true, offset: round * 100 + Math.floor(index / 3) })))
    }
    const read = await t.readAll(topic, 3)
    for (const partition of numbers(3)) {
      expect(texts(read[partition])).toEqual(numbers(500).map((number) => String(number * 3 + partition)))
      expect(read[partition]?.map(({ offset }) => offset)).toEqual(numbers(500))
    }
  },

  'keys, values, headers and timestamps come back as they were sent': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const binary = Buffer.from([0, 255, 1, 128, 0])
    const headers: RawHeaders = [
      ['a', Buffer.from('1')],
      ['b', null],
      ['a', binary],
      ['naïve', Buffer.alloc(0)],
    ]
    const at = { topic, partition: 0 }
    const sent: OutgoingRecord[] = [
      { ...at, key: Buffer.from('k'), value: Buffer.from('v'), headers, timestamp: 1_600_000_000_001 },
      { ...at, key: null, value: Buffer.from('v'), headers: [], timestamp: 1_600_000_000_000 },
      { ...at, key: Buffer.from('k'), value: null, headers: [], timestamp: 1_700_000_000_000 },
      { ...at, key: null, value: null, headers: [['only', null]], timestamp: 1 },
      { ...at, key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [], timestamp: 1_650_000_000_000 },
      { ...at, key: binary, value: Buffer.alloc(100_000, 7), headers: [], timestamp: 1_650_000_000_000 },
    ]
    await t.send(...sent)
    const [records = []] = await t.readAll(topic, 1)
    expect(records).toHaveLength(sent.length)
    records.forEach((record, index) => {
      const { key, value, headers: sentHeaders, timestamp } = sent[index] ?? text(topic, 0, '')
      expect(record.offset).toBe(index)
      expect(record.timestamp).toBe(timestamp)
      expect(hex(record.key)).toBe(hex(key))
      expect(hex(record.value)).toBe(hex(value))
      expect(record.headers.map(([name, bytes]) => [name, hex(bytes)])).toEqual(
        sentHeaders.map(([name, bytes]) => [name, hex(bytes)]),
      )
    })
  },

  'one send may hold many records for many partitions': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(4)
    const padding = 'x'.repeat(100)
    const records = numbers(20_000).map((number) => text(topic, number % 4, `${number} ${padding}`))
    const outcomes = await (await t.producer()).send(records, OPEN_GUARD)
    expect(outcomes).toHaveLength(20_000)
    expect(outcomes.every(({ ok }) => ok)).toBe(true)
    const read = await t.readAll(topic, 4)
    for (const partition of numbers(4)) {
      expect(texts(read[partition]).map((value) => Number.parseInt(value ?? '', 10))).toEqual(
        numbers(5000).map((number) => number * 4 + partition),
      )
    }
  },

  'an empty send resolves': async (t: CaseContext): Promise<void> => {
    expect(await (await t.producer()).send([], OPEN_GUARD)).toEqual([])
  },

  'partition counts are told, TOPIC_MISSING where there is no topic': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(7)
    const producer = await t.producer()
    expect(await producer.partitions(topic)).toBe(7)
    await expect(producer.partitions(t.name('absent'))).rejects.toMatchObject({ code: 'TOPIC_MISSING' })
    expect(Number.isInteger(producer.brokerOf({ topic, partition: 3 }))).toBe(true)
  },

  'a record for a missing topic is refused alone, with TOPIC_MISSING': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const outcomes = await t.send(text(topic, 0, 'a'), text(t.name('absent'), 0, 'b'), text(topic, 0, 'c'))
    expect(outcomes).toMatchObject([
      { ok: true, offset: 0 },
      { ok: false, error: { code: 'TOPIC_MISSING' } },
      { ok: true, offset: 1 },
    ])
    expect(texts((await t.readAll(topic, 1))[0])).toEqual(['a', 'c'])
  },

  'a record for a missing partition is refused alone, with PARTITION_MISSING': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    const outcomes = await t.send(text(topic, 0, 'a'), text(topic, 2, 'b'), text(topic, 1, 'c'))
    expect(outcomes).toMatchObject([{ ok: true }, { ok: false, error: { code: 'PARTITION_MISSING' } }, { ok: true }])
    expect((await t.readAll(topic, 2)).map(texts)).toEqual([['a'], ['c']])
  },

  'a record that is too large is refused alone, with RECORD_TOO_LARGE': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2, { 'max.message.bytes': '20000' })
    // Different bytes, so that compression does not make it small.
    const large = Array.from({ length: 40_000 }, (_, index) => ((index * 7919) % 104_729).toString(36)).join('')
    const outcomes = await t.send(text(topic, 0, 'a'), text(topic, 0, large), text(topic, 0, 'b'), text(topic, 1, 'c'))
    expect(outcomes).toMatchObject([
      { ok: true },
      { ok: false, error: { code: 'RECORD_TOO_LARGE' } },
      { ok: true },
      { ok: true },
    ])
    expect((await t.readAll(topic, 2)).map(texts)).toEqual([['a', 'b'], ['c']])
  },

  'a guard that throws rejects the send, and nothing is stored': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const producer = await t.producer()
    const expired = new Error('the lease is over')
    const guard = (): void => {
      throw expired
    }
    await expect(producer.send([text(topic, 0, 'a')], { guard })).rejects.toBe(expired)
    expect(await producer.send([text(topic, 0, 'b')], OPEN_GUARD)).toEqual([{ ok: true, offset: 0 }])
  },

  'what a guard has ended in the middle is stored once when it is sent again, in order': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    const producer = await t.producer()
    const padding = 'x'.repeat(100)
    // More records than drivers put in one request.
    const records = numbers(30_000).map((number) => text(topic, number % 2, `${number} ${padding}`))
    let isWhole = false
    for (let most = 1; most <= 2 && !isWhole; most++) {
      let requests = 0
      const guard = (): void => {
        if (requests++ === most) throw new Error('the lease is over')
      }
      isWhole = await producer.send(records, { guard }).then(
        () => true,
        () => false,
      )
    }
    const more = [text(topic, 0, '30000'), text(topic, 1, '30001')]
    const outcomes = await producer.send(isWhole ? more : [...records, ...more], OPEN_GUARD)
    expect(outcomes.every(({ ok }) => ok)).toBe(true)
    const read = await t.readAll(topic, 2)
    for (const partition of numbers(2)) {
      const found = texts(read[partition]).map((value) => Number.parseInt(value ?? '', 10))
      expect(found).toEqual(numbers(15_001).map((number) => number * 2 + partition))
    }
  },
}

function hex(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('hex')
}
