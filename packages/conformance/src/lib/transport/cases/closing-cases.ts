import { expect } from 'vitest'
import { systemClock } from '@millrace/core'
import type { Consumer, Transport } from '@millrace/core/driver'
import { eventually, within } from '../../eventually.ts'
import { OPEN_GUARD, text, type CaseContext } from '../case-context.ts'

/** Closing something idle must not wait for a poll that is under way. */
const QUICK_MS = 1500

const CLOSED = { code: 'CLOSED' }

export const closingCases = {
  'calls after close reject with CLOSED': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const at = [{ topic, partition: 0 }]
    const [admin, producer] = [await t.admin(), await t.producer()]
    const reader = (await t.transport()).reader({ isolation: 'read-committed' })
    const transactional = await t.transactional()
    const member = t.member(await t.transport(), { label: 'a', groupId: t.name('group'), topics: [topic] })
    await member.consumer.start()
    await Promise.all([admin, producer, reader, transactional, member.consumer].map((part) => part.close()))
    await expect(admin.topics()).rejects.toMatchObject(CLOSED)
    await expect(admin.createTopics([])).rejects.toMatchObject(CLOSED)
    await expect(admin.deleteTopics([])).rejects.toMatchObject(CLOSED)
    await expect(admin.offsets(at, 'read-committed')).rejects.toMatchObject(CLOSED)
    await expect(admin.committed('group', at)).rejects.toMatchObject(CLOSED)
    await expect(admin.topicSettings([topic])).rejects.toMatchObject(CLOSED)
    await expect(admin.brokers()).rejects.toMatchObject(CLOSED)
    await expect(admin.offsetsAt(at, 0)).rejects.toMatchObject(CLOSED)
    await expect(admin.commit('group', [])).rejects.toMatchObject(CLOSED)
    await expect(producer.partitions(topic)).rejects.toMatchObject(CLOSED)
    await expect(producer.send([text(topic, 0, 'x')], OPEN_GUARD)).rejects.toMatchObject(CLOSED)
    await expect(reader.offsets(at)).rejects.toMatchObject(CLOSED)
    await expect(transactional.begin()).rejects.toMatchObject(CLOSED)
    await expect(transactional.send([text(topic, 0, 'x')], OPEN_GUARD)).rejects.toMatchObject(CLOSED)
    await expect(member.consumer.commit([{ topic, partition: 0, offset: 0, metadata: '' }])).rejects.toMatchObject(
      CLOSED,
    )
    await expect(member.consumer.committed(at)).rejects.toMatchObject(CLOSED)
    await expect(member.consumer.start()).rejects.toMatchObject(CLOSED)
  },

  'calls before start and init reject with CLOSED': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const transport = await t.transport()
    const { consumer } = t.member(transport, { label: 'a', groupId: t.name('group'), topics: [topic] })
    await expect(consumer.commit([{ topic, partition: 0, offset: 0, metadata: '' }])).rejects.toMatchObject(CLOSED)
    await expect(consumer.committed([{ topic, partition: 0 }])).rejects.toMatchObject(CLOSED)
    const producer = transport.transactionalProducer({ id: t.name('transaction'), timeoutMs: 10_000 })
    await expect(producer.begin()).rejects.toMatchObject(CLOSED)
    await expect(producer.send([text(topic, 0, 'x')], OPEN_GUARD)).rejects.toMatchObject(CLOSED)
    await expect(producer.commit()).rejects.toMatchObject(CLOSED)
  },

  'everything may be closed twice, also what was never started': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const transport = await t.transport()
    const { consumer } = t.member(transport, { label: 'a', groupId: t.name('group'), topics: [topic] })
    const parts = [
      transport.admin(),
      transport.producer(),
      transport.reader({ isolation: 'read-committed' }),
      transport.transactionalProducer({ id: t.name('transaction'), timeoutMs: 10_000 }),
      consumer,
      transport,
    ]
    for (const part of parts) {
      await part.close()
      await part.close()
    }
  },

  'batches end quickly when an idle reader or consumer is closed': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const reader = (await t.transport()).reader({ isolation: 'read-committed' })
    reader.assign({ topic, partition: 0 }, 0)
    const idle = reader.batches()[Symbol.asyncIterator]().next()
    await quick('the reader', () => reader.close())
    expect(await within(idle, { what: 'the batches of the reader to end', limitMs: QUICK_MS })).toMatchObject({
      done: true,
    })
    const member = t.member(await t.transport(), { label: 'a', groupId: t.name('group'), topics: [topic] })
    await member.consumer.start()
    await member.settled(1)
    await quick('the consumer', () => member.consumer.close())
    await eventually(() => member.ended, { what: 'the batches of the consumer to end', limitMs: QUICK_MS })
    expect(member.ended).toEqual({ error: undefined })
  },

  'closing the transport closes its parts': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const transport = await t.another()
    const [producer, admin] = [transport.producer(), transport.admin()]
    const member = t.member(transport, { label: 'a', groupId: t.name('group'), topics: [topic] })
    await member.consumer.start()
    await quick('the transport', () => transport.close())
    await expect(producer.send([text(topic, 0, 'x')], OPEN_GUARD)).rejects.toMatchObject(CLOSED)
    await expect(admin.topics()).rejects.toMatchObject(CLOSED)
    await eventually(() => member.ended, { what: 'the batches to end' })
  },

  'a consumer that is closed while it starts does not start': async (t: CaseContext): Promise<void> => {
    const topic = await t.topic(1)
    const transport: Transport = await t.another()
    const groupId = t.name('group')
    const hung = { beforeAssign: (): Promise<void> => new Promise<void>(() => {}) }
    const consumer: Consumer = t.member(transport, { label: 'a', groupId, topics: [topic], ...hung }).consumer
    const starting = consumer.start()
    const outcome = expect(starting).rejects.toMatchObject(CLOSED)
    await quick('the consumer', () => consumer.close(), 6000)
    await outcome
    const after = t.member(await t.transport(), { label: 'b', groupId, topics: [topic] })
    await after.consumer.start()
    await after.settled(1)
  },

  'connect rejects with the reason of an aborted signal': async (t: CaseContext): Promise<void> => {
    const transport = await t.unconnected()
    const reason = new Error('not any more')
    await expect(transport.connect({ timeoutMs: 5000, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  },
}

async function quick(what: string, close: () => Promise<void>, limitMs: number = QUICK_MS): Promise<void> {
  const clock = systemClock()
  const from = clock.monotonic()
  await within(close(), { what: `${what} to close` })
  expect(clock.monotonic() - from).toBeLessThan(limitMs)
}
