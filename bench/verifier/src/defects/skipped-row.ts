import type { OutgoingRecord } from '@millrace/core'
import type { Producer, SendOptions, SendOutcome, Transport } from '@millrace/core/driver'
import { overriding } from './overriding.ts'

const EVERY = 50

/** Says of one changelog row in fifty that it is stored, and does not send it. */
export function skippedRow(transport: Transport): Transport {
  let rows = 0
  const isSkipped = ({ topic }: OutgoingRecord): boolean => topic.endsWith('-changelog') && ++rows % EVERY === 0
  const send = async (
    producer: Producer,
    records: readonly OutgoingRecord[],
    options: SendOptions,
  ): Promise<readonly SendOutcome[]> => {
    const skipped = records.map(isSkipped)
    const outcomes = await producer.send(
      records.filter((_, i) => !skipped[i]),
      options,
    )
    let sent = 0
    return skipped.map((isLeftOut) =>
      isLeftOut ? { ok: true, offset: 0 } : (outcomes[sent++] ?? { ok: true, offset: 0 }),
    )
  }
  return overriding(transport, {
    producer: () => {
      const producer = transport.producer()
      return overriding(producer, { send: (records, options) => send(producer, records, options) })
    },
    transactionalProducer: (options) => {
      const producer = transport.transactionalProducer(options)
      return overriding(producer, { send: (records, sendOptions) => send(producer, records, sendOptions) })
    },
  })
}
