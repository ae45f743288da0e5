import { expect } from 'vitest'
import type { RecordBatch } from '@millrace/core'
import type { LostPosition } from '@millrace/core/driver'
import { eventually } from '../../eventually.ts'
import { numbers, text, type CaseContext } from '../case-context.ts'
import type { TestMember, TestMemberOptions } from '../test-member.ts'

export const deliveryCases = {
  'gained partitions deliver nothing until seek, then from there on': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    await t.send(...numbers(20).map((number) => text(topic, number % 2, String(number))))
    const member = await started(t, topic, { seekGained: false })
    member.consumer.seek({ topic, partition: 0 }, 4)
    await eventually(() => member.offsets(0).length === 6, { what: 'the rest of partition 0' })
    expect(member.offsets(0)).toEqual(numbers(6, 4))
    expect(member.offsets(1)).toEqual([])
    member.consumer.seek({ topic, partition: 1 }, 0)
    await eventually(() => member.offsets(1).length === 10, { what: 'partition 1' })
  },

  'records arrive as they are sent, in order and once': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    const member = await started(t, topic, {})
    const producer = await t.producer()
    for (let round = 0; round < 20; round++) {
      await producer.send(
        numbers(50, round * 50).map((number) => text(topic, number % 2, String(number))),
        { guard: () => {} },
      )
    }
    await eventually(() => member.handled.length === 1000, { what: '1,000 records' })
    expect(member.offsets(0)).toEqual(numbers(500))
    expect(member.offsets(1)).toEqual(numbers(500))
    expect(member.handled.filter(({ partition }) => partition === 1).map(({ value }) => Number(value))).toEqual(
      numbers(500).map((number) => 2 * number + 1),
    )
  },

  'one busy partition does not starve the others': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    const padding = 'x'.repeat(500)
    await t.send(...numbers(5000).map((number) => text(topic, 0, `${number}${padding}`)), text(topic, 1, 'other'))
    const member = await started(t, topic, { maxPartitionBytes: 20_000 })
    await eventually(() => member.handled.length === 5001, { what: 'all records' })
    expect(member.handled.findIndex(({ partition }) => partition === 1)).toBeLessThan(2500)
  },

  'a paused partition stops, keeps its position, and goes on after resume': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    const member = await started(t, topic, {})
    await t.send(text(topic, 0, 'a'), text(topic, 1, 'a'))
    await eventually(() => member.handled.length === 2, { what: 'the first two' })
    member.consumer.pause([{ topic, partition: 0 }])
    await t.send(text(topic, 0, 'b'), text(topic, 1, 'b'))
    await eventually(() => member.offsets(1).length === 2, { what: 'the partition that is not paused' })
    // One batch may have been under way; no further one may arrive.
    const atMost = member.batches.filter(({ partition }) => partition === 0).length + 1
    for (const value of ['c', 'd', 'e']) {
      await t.send(text(topic, 0, value), text(topic, 1, value))
      await eventually(() => member.handled.some((record) => record.partition === 1 && record.value === value), {
        what: value,
      })
    }
    expect(member.batches.filter(({ partition }) => partition === 0).length).toBeLessThanOrEqual(atMost)
    member.consumer.resume([{ topic, partition: 0 }])
    await eventually(() => member.offsets(0).length === 5, { what: 'the rest' })
    expect(member.offsets(0)).toEqual(numbers(5))
  },

  'seek moves the position back and forth': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    await t.send(...numbers(10).map((number) => text(topic, 0, String(number))))
    const member = await started(t, topic, {})
    await eventually(() => member.handled.length === 10, { what: 'all' })
    member.consumer.seek({ topic, partition: 0 }, 8)
    await eventually(() => member.handled.length === 12, { what: 'the last two again' })
    expect(member.offsets(0).slice(10)).toEqual([8, 9])
    member.consumer.pause([{ topic, partition: 0 }])
    member.consumer.seek({ topic, partition: 0 }, 9)
    member.consumer.resume([{ topic, partition: 0 }])
    await eventually(() => member.handled.length === 13, { what: 'the last one again' })
    expect(member.offsets(0).at(-1)).toBe(9)
  },

  'a batch begins where seek said or where the one before it ended, over what has no record too': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(1)
    const producer = await t.transactional()
    for (let round = 0; round < 8; round++) {
      await producer.begin()
      await producer.send([text(topic, 0, `${round}`), text(topic, 0, `${round}, again`)], { guard: () => {} })
      // An aborted transaction has no record for any reader, and on most logs a marker after each transaction has an
      // offset.
      if (round % 3 === 1) await producer.abort()
      else await producer.commit()
      await t.send(text(topic, 0, `${round}, plain`))
    }
    const member = await started(t, topic, { maxPartitionBytes: 200 })
    await eventually(() => member.handled.length === 18, { what: 'all that counts' })
    const first = member.handled.at(0)?.offset ?? -1
    expectUnbroken(member.batches, 0)
    // Compaction has removed nothing; a driver that cannot tell leaves `whole` out.
    expect(member.batches.filter(({ whole }) => whole === false)).toEqual([])
    const seen = member.batches.length
    member.consumer.seek({ topic, partition: 0 }, first + 1)
    await eventually(() => member.handled.length === 18 + 17, { what: 'all but the first again' })
    expectUnbroken(member.batches.slice(seen), first + 1)
  },

  'a stopped partition is silent until seek, which starts it there': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    await t.send(...numbers(10).map((number) => text(topic, 0, String(number))), text(topic, 1, 'a'))
    const member = await started(t, topic, {})
    await eventually(() => member.handled.length === 11, { what: 'all' })
    member.consumer.stop([{ topic, partition: 0 }])
    for (const value of ['b', 'c', 'd']) {
      await t.send(text(topic, 0, value), text(topic, 1, value))
      await eventually(() => member.handled.some((record) => record.partition === 1 && record.value === value), {
        what: value,
      })
    }
    member.consumer.resume([{ topic, partition: 0 }])
    await t.send(text(topic, 1, 'e'))
    await eventually(() => member.offsets(1).length === 5, { what: 'the partition that is not stopped' })
    expect(member.offsets(0)).toEqual(numbers(10))
    const seen = member.batches.length
    member.consumer.seek({ topic, partition: 0 }, 7)
    await eventually(() => member.offsets(0).length === 16, { what: 'what follows the new position' })
    expect(member.offsets(0).slice(10)).toEqual(numbers(6, 7))
    expectUnbroken(
      member.batches.slice(seen).filter(({ partition }) => partition === 0),
      7,
    )
  },

  'stop forgets a pause, and drops what was fetched meanwhile': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(2)
    await t.send(text(topic, 0, 'a'), text(topic, 1, 'a'))
    const member = await started(t, topic, {})
    await eventually(() => member.handled.length === 2, { what: 'the first two' })
    member.consumer.pause([{ topic, partition: 0 }])
    for (const value of ['b', 'c', 'd']) {
      await t.send(text(topic, 0, value), text(topic, 1, value))
      await eventually(() => member.handled.some((record) => record.partition === 1 && record.value === value), {
        what: value,
      })
    }
    const before = member.offsets(0).length
    member.consumer.stop([{ topic, partition: 0 }])
    member.consumer.seek({ topic, partition: 0 }, 3)
    await eventually(() => member.offsets(0).length > before, { what: 'the last one' })
    expect(member.offsets(0).slice(before)).toEqual([3])
  },

  'stop takes back what a seek has asked for, news of a position out of range too': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    await t.send(text(topic, 0, 'a'), text(topic, 1, 'b'))
    const lost: LostPosition[] = []
    const member = await started(t, topic, { seekGained: false, onOutOfRange: (position) => lost.push(position) })
    member.consumer.seek({ topic, partition: 0 }, 1000)
    member.consumer.stop([{ topic, partition: 0 }])
    member.consumer.seek({ topic, partition: 1 }, 1000)
    await eventually(() => lost.length === 1, { what: 'onOutOfRange' })
    member.consumer.seek({ topic, partition: 1 }, 0)
    await eventually(() => member.offsets(1).length === 1, { what: 'the other partition' })
    expect(lost.map(({ partition }) => partition)).toEqual([1])
    member.consumer.seek({ topic, partition: 0 }, 0)
    await eventually(() => member.offsets(0).length === 1, { what: 'the partition that was stopped' })
  },

  'pause, resume, stop and seek of partitions that are not assigned are ignored': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(1)
    const other = await t.topic(1)
    await t.send(text(topic, 0, 'a'), text(other, 0, 'b'))
    const member = await started(t, topic, {})
    member.consumer.seek({ topic: other, partition: 0 }, 0)
    member.consumer.pause([{ topic: other, partition: 0 }])
    member.consumer.resume([{ topic: other, partition: 0 }])
    member.consumer.stop([{ topic: other, partition: 0 }])
    await eventually(() => member.handled.length === 1, { what: 'the record' })
    expect(member.batches.every((batch) => batch.topic === topic)).toBe(true)
  },

  'a position out of range ends the batches with OFFSET_OUT_OF_RANGE': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    await t.send(text(topic, 0, 'a'))
    const member = await started(t, topic, { seekGained: false })
    member.consumer.seek({ topic, partition: 0 }, 1000)
    await eventually(() => member.ended, { what: 'the batches to end' })
    expect(member.ended?.error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', message: expect.stringContaining(topic) })
  },

  'a position out of range is told to onOutOfRange, and nothing of its partition comes until seek': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    await t.send(text(topic, 0, 'a'), text(topic, 0, 'b'), text(topic, 1, 'c'))
    const lost: LostPosition[] = []
    const member = await started(t, topic, { seekGained: false, onOutOfRange: (position) => lost.push(position) })
    member.consumer.seek({ topic, partition: 0 }, 1000)
    await eventually(() => lost.length === 1, { what: 'onOutOfRange' })
    expect(lost).toEqual([{ topic, partition: 0, position: 1000, beginning: 0, end: 2 }])
    member.consumer.seek({ topic, partition: 1 }, 0)
    await eventually(() => member.offsets(1).length === 1, { what: 'the other partition' })
    expect(member.offsets(0)).toEqual([])
    member.consumer.seek({ topic, partition: 0 }, 1)
    await eventually(() => member.offsets(0).length === 1, { what: 'the partition that was sought' })
    expect(member.handled.map(({ value }) => value).sort()).toEqual(['b', 'c'])
    expect(lost.length).toBe(1)
    expect(member.ended).toBeUndefined()
  },

  'seek within onOutOfRange goes on at once; what it throws ends the batches': async (
    t: CaseContext,
  ): Promise<void> => {
    const topic = await t.topic(2)
    await t.send(text(topic, 0, 'a'))
    const member: TestMember = await started(t, topic, {
      seekGained: false,
      onOutOfRange: (lost) => {
        if (lost.partition === 1) throw new Error(`no way on from ${lost.position}`)
        member.consumer.seek(lost, lost.beginning)
      },
    })
    member.consumer.seek({ topic, partition: 0 }, 1000)
    await eventually(() => member.handled.length === 1, { what: 'the record' })
    member.consumer.seek({ topic, partition: 1 }, 7)
    await eventually(() => member.ended, { what: 'the batches to end' })
    expect(member.ended?.error?.message).toBe('no way on from 7')
  },
}

/** Checks all batches of one partition. */
function expectUnbroken(batches: readonly RecordBatch[], from: number): void {
  let position = from
  for (const batch of batches) {
    expect(batch.position).toBe(position)
    for (const { offset } of batch.records) {
      expect(offset).toBeGreaterThanOrEqual(position)
      position = offset + 1
    }
    expect(batch.nextOffset).toBeGreaterThanOrEqual(position)
    position = batch.nextOffset
  }
}

async function started(
  t: CaseContext,
  topic: string,
  options: Pick<TestMemberOptions, 'seekGained' | 'maxPartitionBytes' | 'onOutOfRange'>,
): Promise<TestMember> {
  const member = t.member(await t.transport(), { label: 'a', groupId: t.name('group'), topics: [topic], ...options })
  await member.consumer.start()
  return member
}
