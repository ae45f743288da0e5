import { manualClock, MillraceError } from '@millrace/core'
import type { TransactionalProducer } from '@millrace/core/driver'
import type { Leadership } from '@millrace/worker'
import { expect, test } from 'vitest'
import { SmallBroker } from '../fixtures/small-broker.fixture.ts'
import { SlotLog } from './slot-log.ts'

const TOPIC = 'app-__scheduler'

function openLog(
  broker: SmallBroker,
  beforeInit: () => Promise<void> = async () => {},
  check: () => void = () => {},
): Promise<SlotLog> {
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
    check,
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

test('a leader whose lease runs out while its claim is on its way does not commit it', async () => {
  const broker = new SmallBroker()
  let looks = 0
  // At the beginning and before the request it is still valid.
  const check = (): void => {
    if (++looks > 2) throw new MillraceError('LEASE_EXPIRED', 'No heartbeat has succeeded.')
  }
  const log = await openLog(broker, undefined, check)
  await expect(log.write('daily', Buffer.from('claim'))).rejects.toMatchObject({ code: 'LEASE_EXPIRED' })
  expect(broker.records).toEqual([])
  expect(await log.ended).toMatchObject({ code: 'LEASE_EXPIRED' })
  await log.close()
})
