import { NO_HEADERS, type RawHeaders } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { SETTLE_LIMIT_MS } from './settle.ts'

/** A record for `write`. */
export interface RawSend {
  readonly key?: string | Uint8Array | null
  readonly value: string | Uint8Array | null
  readonly partition?: number
  readonly headers?: RawHeaders
}

/** Writes bytes or text to a topic as a program without codecs would. */
export async function writeRaw(
  topic: string,
  { key = null, value, partition = 0, headers = NO_HEADERS }: RawSend,
  { transport, now }: { readonly transport: Transport; readonly now: number },
): Promise<void> {
  const bytes = (part: string | Uint8Array | null): Buffer | null => (part === null ? null : Buffer.from(part))
  const record = { topic, partition, key: bytes(key), value: bytes(value), headers, timestamp: now }
  const [outcome] = await transport.producer().send([record], { guard: () => {} })
  if (outcome !== undefined && !outcome.ok) throw outcome.error
}

/** Uses a connection and closes it. */
export async function withTransport<T>(transport: Transport, work: (transport: Transport) => Promise<T>): Promise<T> {
  await transport.connect({ timeoutMs: SETTLE_LIMIT_MS })
  try {
    return await work(transport)
  } finally {
    await transport.close()
  }
}
