import type { BenchBroker } from './broker.ts'

export interface Load {
  readonly topic: string
  readonly records: number
  readonly keys: number
  readonly partitions: number
}

/** Creates a topic and fills it with records of 100 bytes of JSON, spread evenly over `keys` keys, hashed as Java does. */
export async function load(
  broker: BenchBroker,
  { topic, records, keys, partitions }: Load,
  config: Readonly<Record<string, string>> = {},
): Promise<void> {
  await broker.admin.createTopics({
    topics: [
      {
        topic,
        numPartitions: partitions,
        configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
      },
    ],
  })
  const producer = broker.kafka.producer()
  await producer.connect()
  const sending = new Set<Promise<unknown>>()
  for (let from = 0; from < records; from += 500) {
    const messages = Array.from({ length: Math.min(500, records - from) }, (_, i) => message(from + i, keys))
    const sent: Promise<unknown> = producer.send({ topic, messages }).finally(() => sending.delete(sent))
    sending.add(sent)
    if (sending.size >= 4) await Promise.race(sending)
  }
  await Promise.all(sending)
  await producer.disconnect()
}

function message(n: number, keys: number): { key: string; value: string } {
  const user = `user-${(n * 7919) % keys}`
  const value = { n, user, amount: (n * 31) % 25_000, pad: '' }
  const pad = 100 - Buffer.byteLength(JSON.stringify(value))
  return { key: user, value: JSON.stringify({ ...value, pad: 'x'.repeat(Math.max(0, pad)) }) }
}
