import { type Leadership, manualClock, type TransactionalProducer } from '@millrace/core'
import { expect, test } from 'vitest'
import { SmallBroker } from '../fixtures/small-broker.fixture.ts'
import { SlotLog } from './slot-log.ts'

const TOPIC = 'app-__scheduler'

function openLog(broker: SmallBroker, beforeInit: () => Promise<void> = async () => {}): Promise<SlotLog> {
  const producer = (): TransactionalProducer => {
    const inner = broker.producer()
    const init = async (): Promise<void> => {
      await beforeInit()
      await inner.init()
    }
    return { ...inner, init }
  }
  const leadership: Leadership = {
    signal: new AbortController().signal,
    groupLife: 'life',
    check: () => {},
    confirm: async () => {},
    producer,
  }
  return SlotLog.open(TOPIC, { clock: manualClock(), reader: () => broker.reader() }, leadership)
}

test('what the leader before writes until it is shut out is read: nothing falls between the two', async () => {
  const broker = new SmallBroker()
  const before = await openLog(broker)
  await before.write('daily', Buffer.from('first'))
  // In the last moment in which it still can.
  const log = await openLog(broker, () => before.write('daily', Buffer.from('second')))
  expect(log.rows).toEqual(new Map([['daily', Buffer.from('second')]]))
  await expect(before.write('daily', Buffer.from('third'))).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
  await log.write('daily', Buffer.from('fourth'))
  expect(broker.records.map(({ value }) => String(value))).toEqual(['first', 'second', 'fourth'])
  await log.close()
})
