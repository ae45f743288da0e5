import { manualClock, MillraceError, type OutgoingRecord } from '@millrace/core'
import type { TransactionalProducer } from '@millrace/core/driver'
import type { Leadership } from '@millrace/worker'
import { expect, test } from 'vitest'
import { SmallBroker } from '../fixtures/small-broker.fixture.ts'
import { SlotLog } from './slot-log.ts'

const TOPIC = 'app-__scheduler'

interface Faults {
  readonly beforeInit?: () => Promise<void>
  readonly check?: () => void
  readonly producer?: Partial<TransactionalProducer>
}

function openLog(broker: SmallBroker, { beforeInit = async () => {}, check = () => {}, producer }: Faults = {}) {
  const leadership: Leadership = {
    signal: new AbortController().signal,
    groupLife: 'life',
    check,
    confirm: async () => {},
    producer: () => {
      const inner = broker.producer()
      const init = async (): Promise<void> => {
        await beforeInit()
        await inner.init()
      }
      return { ...inner, init, ...producer }
    },
  }
  return SlotLog.open(TOPIC, { clock: manualClock(), reader: () => broker.reader() }, leadership)
}

function row(key: string | null, value: string | null): OutgoingRecord {
  return {
    topic: TOPIC,
    partition: 0,
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    headers: [],
    timestamp: 0,
  }
}

test('reads everything that the previous leader writes until it is fenced', async () => {
  const broker = new SmallBroker()
  const before = await openLog(broker)
  await before.write('daily', Buffer.from('first'))
  // Written at the last moment possible.
  const log = await openLog(broker, { beforeInit: () => before.write('daily', Buffer.from('second')) })
  expect(log.rows).toEqual(new Map([['daily', Buffer.from('second')]]))
  await expect(before.write('daily', Buffer.from('third'))).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
  await log.write('daily', Buffer.from('fourth'))
  expect(broker.records.map(({ value }) => String(value))).toEqual(['first', 'second', 'fourth'])
  await log.close()
})

test('a leader whose lease expires during its claim does not commit it', async () => {
  const broker = new SmallBroker()
  let looks = 0
  // The lease is still valid at the beginning and before the request.
  const check = (): void => {
    if (++looks > 2) throw new MillraceError('LEASE_EXPIRED', 'No heartbeat has succeeded.')
  }
  const log = await openLog(broker, { check })
  await expect(log.write('daily', Buffer.from('claim'))).rejects.toMatchObject({ code: 'LEASE_EXPIRED' })
  expect(broker.records).toEqual([])
  expect(await log.ended).toMatchObject({ code: 'LEASE_EXPIRED' })
  await log.close()
})

test('reads rows as compaction would leave them: the last row of each key, without deleted or invalid keys', async () => {
  const broker = new SmallBroker()
  for (const [key, value] of [
    ['daily', 'first'],
    ['hourly', 'first'],
    [null, 'nobody'],
    ['daily', 'second'],
    ['hourly', null],
  ] as const)
    await broker.append(row(key, value))
  const log = await openLog(broker)
  expect(log.rows).toEqual(new Map([['daily', Buffer.from('second')]]))
})

test('a log that cannot be opened closes its producer', async () => {
  let closed = 0
  const close = async (): Promise<void> => void closed++
  const init = async (): Promise<void> => {
    throw new MillraceError('NOT_AUTHORIZED', 'Transactions are not allowed.')
  }
  await expect(openLog(new SmallBroker(), { producer: { init, close } })).rejects.toMatchObject({
    code: 'NOT_AUTHORIZED',
  })
  expect(closed).toBe(1)
})

test('closing waits for the current write, closes the producer, and refuses further writes', async () => {
  const broker = new SmallBroker()
  const happened: string[] = []
  broker.beforeCommit = async () => {
    await new Promise((resolve) => setImmediate(resolve))
    happened.push('committed')
  }
  const close = async (): Promise<void> => void happened.push('closed')
  const log = await openLog(broker, { producer: { close } })
  const written = log.write('daily', Buffer.from('claim'))
  await log.close()
  await written
  expect(happened).toEqual(['committed', 'closed'])
  expect(await log.ended).toBeUndefined()
  await expect(log.write('daily', Buffer.from('late'))).rejects.toMatchObject({
    code: 'CLOSED',
    message: expect.stringContaining(TOPIC),
  })
  expect(broker.records).toHaveLength(1)
})

test('after a failed write nothing more is written, and waiting writes fail with it', async () => {
  const broker = new SmallBroker()
  broker.beforeCommit = () => {
    broker.beforeCommit = () => {}
    throw new Error('connection lost')
  }
  const log = await openLog(broker)
  // The second write waits until the first is done.
  const writes = [log.write('daily', Buffer.from('first')), log.write('daily', Buffer.from('second'))]
  for (const write of writes) await expect(write).rejects.toThrow('connection lost')
  await expect(log.write('daily', Buffer.from('third'))).rejects.toThrow('connection lost')
  expect((await log.ended)?.message).toBe('connection lost')
  expect(broker.records).toEqual([])
})

test('a row that the broker refuses does not count as written', async () => {
  const broker = new SmallBroker()
  const send: TransactionalProducer['send'] = async (records) =>
    records.map(() => ({ ok: false, error: new MillraceError('RECORD_REFUSED', 'It is too large.') }))
  const log = await openLog(broker, { producer: { send } })
  await expect(log.write('daily', Buffer.from('claim'))).rejects.toMatchObject({ code: 'RECORD_REFUSED' })
})

test('rows of many jobs are sent together, 500 in a transaction', async () => {
  const broker = new SmallBroker()
  const committed: number[] = []
  broker.afterCommit = () => void committed.push(broker.records.length)
  const log = await openLog(broker)
  await Promise.all(Array.from({ length: 1101 }, (_, i) => log.write(`job ${i}`, Buffer.from('claim'))))
  expect(committed).toEqual([1, 501, 1001, 1101])
  expect(broker.records.map(({ key }) => String(key))).toEqual(Array.from({ length: 1101 }, (_, i) => `job ${i}`))
})
