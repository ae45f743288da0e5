import { type Logger, parseBrokerUrl, systemClock } from '@millrace/core'
import type { Transport, TransportDeps } from '@millrace/core/driver'
import { createEmbeddedTransport } from '@millrace/transport-embedded'
import { createKafkaTransport } from '@millrace/transport-kafkajs'

/** The driver that the run's broker names, not connected yet. */
export function openTransport(broker: string, clientId: string, deps: TransportDeps): Transport {
  const url = parseBrokerUrl(broker)
  if (url.scheme === 'kafka') return createKafkaTransport({ brokers: url.brokers, clientId }, deps)
  if (url.scheme === 'embedded' && url.directory !== undefined)
    return createEmbeddedTransport({ directory: url.directory }, deps)
  throw new Error(`The verifier needs a broker that several processes can use, not ${broker}.`)
}

/** Looks at the broker from outside the app. */
export async function lookFromOutside<R>(
  broker: string,
  log: Logger,
  look: (transport: Transport) => Promise<R>,
): Promise<R> {
  const transport = openTransport(broker, 'verifier', { clock: systemClock(), log })
  try {
    await transport.connect({ timeoutMs: 60_000 })
    return await look(transport)
  } finally {
    await transport.close()
  }
}
