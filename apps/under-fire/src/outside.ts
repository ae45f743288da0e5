import { afterAll, beforeAll } from 'vitest'
import { systemClock } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { collectLog } from '@millrace/testing'
import { createKafkaTransport, type KafkaTransportOptions } from '@millrace/transport-kafkajs'

/** A connection to the broker for the tests of a `describe`, apart from the app's. */
export function outsideOf(
  brokers: readonly string[],
  options: Omit<KafkaTransportOptions, 'brokers' | 'clientId'> = {},
): () => Transport {
  let transport: Transport
  beforeAll(async () => {
    transport = createKafkaTransport(
      { brokers, clientId: 'outside', ...options },
      { clock: systemClock(), log: collectLog() },
    )
    await transport.connect({ timeoutMs: 60_000 })
  })
  afterAll(() => transport.close())
  return () => transport
}
