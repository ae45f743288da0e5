import { expect } from 'vitest'
import { NO_HEADERS, type OutgoingRecord, type RecordBatch } from '@millrace/core'
import type { Reader } from '@millrace/core/driver'
import { eventually, within } from '../../eventually.ts'
import { numbers, text, texts, type CaseContext } from '../case-context.ts'

export const readingCases = {
  'reading starts in the middle when told so, and goes on with what is sent later': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(1)
    await t.send(...numbers(100).map((number) => text(topic, 0, String(number))))
    const reader = await newReader(t)
    const read = follow(reader)
    reader.assign({ topic, partition: 0 }, 60)
    await eventually(() => read.values(0).length === 40, { what: '40 records' })
    await t.send(text(topic, 0, 'later'))
    await eventually(() => read.values(0).length === 41, { what: 'the record sent later' })
    expect(read.values(0)).toEqual([...numbers(40, 60).map(String), 'later'])
    expect(read.next(0)).toBe(101)
  },

  'batches name their partition, their size, where to go on, and the end of the log': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(1)
    await t.send(text(topic, 0, '12345'), text(topic, 0, '6789'))
    const reader = await newReader(t)
    reader.assign({ topic, partition: 0 }, 0)
    const batches: RecordBatch[] = []
    for await (const batch of reader.batches()) {
      batches.push(batch)
      if (batch.nextOffset === 2) break
    }
    expect(batches.every((batch) => batch.topic === topic && batch.partition === 0 && batch.endOffset === 2)).toBe(true)
    expect(batches.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThanOrEqual(9)
  },

  'an empty partition ends where it begins, and yields what comes': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const reader = await newReader(t)
    expect(await reader.offsets([{ topic, partition: 0 }])).toEqual([{ topic, partition: 0, beginning: 0, end: 0 }])
    const read = follow(reader)
    reader.assign({ topic, partition: 0 }, 0)
    await t.send(text(topic, 0, 'first'))
    await eventually(() => read.values(0).length === 1, { what: 'the first record' })
  },

  'a reader follows many partitions, until they are unassigned or assigned anew': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(3)
    const reader = await newReader(t)
    const read = follow(reader)
    for (const partition of numbers(3)) reader.assign({ topic, partition }, 0)
    const round = (value: string): Promise<unknown> =>
      t.send(...numbers(3).map((partition) => text(topic, partition, value)))
    await round('a')
    await eventually(() => numbers(3).every((partition) => read.values(partition).length === 1), { what: 'round a' })
    reader.unassign({ topic, partition: 1 })
    await round('b')
    await eventually(() => read.values(0).length === 2 && read.values(2).length === 2, { what: 'round b' })
    expect(read.values(1)).toEqual(['a'])
    reader.assign({ topic, partition: 1 }, 1)
    reader.assign({ topic, partition: 0 }, 0)
    await eventually(() => read.values(1).length === 2 && read.values(0).length === 4, {
      what: 'partition 1 to go on, 0 to start again',
    })
    expect(read.values(0)).toEqual(['a', 'b', 'a', 'b'])
    expect(read.values(1)).toEqual(['a', 'b'])
  },

  'a position out of range throws OFFSET_OUT_OF_RANGE': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    await t.send(text(topic, 0, 'a'))
    const reader = await newReader(t)
    reader.assign({ topic, partition: 0 }, 50)
    const next = reader.batches()[Symbol.asyncIterator]().next()
    await expect(within(next, { what: 'the error' })).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
  },

  'compacted records leave gaps that reading moves over': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1, { 'cleanup.policy': 'compact' })
    const keyed = (key: string, value: string): OutgoingRecord => ({
      topic,
      partition: 0,
      key: Buffer.from(key),
      value: Buffer.from(value),
      headers: NO_HEADERS,
      timestamp: 1_700_000_000_000,
    })
    await t.send(...numbers(300).map((number) => keyed(`key-${number % 10}`, String(number))))
    await t.send(keyed('last', 'x'))
    await t.compact(topic)
    await t.send(keyed('last', 'y'))
    const [records = []] = await t.readAll(topic, 1)
    const latest = new Map(records.map(({ key, value }) => [key?.toString(), value?.toString()]))
    expect(records.length).toBeLessThan(302)
    expect(latest.get('last')).toBe('y')
    for (const number of numbers(10, 290)) expect(latest.get(`key-${number % 10}`)).toBe(String(number))
    expect(records.map(({ offset }) => offset)).toEqual([...records.map(({ offset }) => offset)].sort((a, b) => a - b))
    const reader = await newReader(t)
    const read = follow(reader)
    reader.assign({ topic, partition: 0 }, 5)
    await eventually(() => read.next(0) === 302, { what: 'the end, from within the gap' })
    expect(read.values(0).at(-1)).toBe('y')
    expect(read.whole(0)).toBe(false)
  },

  'two readers of one transport do not disturb each other': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    await t.send(text(topic, 0, 'a'), text(topic, 0, 'b'))
    const [one, two] = [await newReader(t), await newReader(t)]
    const [readOne, readTwo] = [follow(one), follow(two)]
    one.assign({ topic, partition: 0 }, 0)
    two.assign({ topic, partition: 0 }, 1)
    await eventually(() => readOne.values(0).length === 2 && readTwo.values(0).length === 1, { what: 'both to read' })
    await one.close()
    await t.send(text(topic, 0, 'c'))
    await eventually(() => readTwo.values(0).length === 2, { what: 'the other to go on' })
    expect(readOne.values(0)).toEqual(['a', 'b'])
  },

  'offsets of a missing topic reject with TOPIC_MISSING': async (t: CaseContext): Promise<void> => {
    const reader = await newReader(t)
    await expect(reader.offsets([{ topic: t.name('absent'), partition: 0 }])).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
    })
  },
}

async function newReader(t: CaseContext): Promise<Reader> {
  return (await t.transport()).reader({ isolation: 'read-committed' })
}

interface Followed {
  values(partition: number): readonly (string | undefined)[]
  next(partition: number): number | undefined
  /** Whether compaction has removed nothing. */
  whole(partition: number): boolean
}

/** Reads on until the reader is closed. The next check throws any error of reading. */
function follow(reader: Reader): Followed {
  const batches: RecordBatch[] = []
  let failure: unknown
  const run = async (): Promise<void> => {
    try {
      for await (const batch of reader.batches()) batches.push(batch)
    } catch (error) {
      failure = error
    }
  }
  void run()
  const of = (partition: number): readonly RecordBatch[] => {
    if (failure !== undefined) throw failure
    return batches.filter((batch) => batch.partition === partition)
  }
  return {
    values: (partition) => texts(of(partition).flatMap(({ records }) => records)),
    next: (partition) => of(partition).at(-1)?.nextOffset,
    whole: (partition) => of(partition).every(({ whole }) => whole === true),
  }
}
