import { type BenchBroker, recordsIn } from './broker.ts'

export interface Load {
  readonly topic: string
  readonly records: number
  readonly keys: number
  readonly partitions: number
  /** Over which the records' times are spread evenly, in milliseconds. Default: all have the time of the call. */
  readonly times?: { readonly fromMs: number; readonly spanMs: number }
}

/** Creates a topic and fills it with records of 100 bytes of JSON, spread evenly over `keys` keys, hashed as Java does. */
export async function load(
  broker: BenchBroker,
  { topic, records, keys, partitions, times }: Load,
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
  const { fromMs, spanMs } = times ?? { fromMs: Date.now(), spanMs: 0 }
  // Partitions without a leader would refuse their part of the first records, and kafkajs sends all of them again.
  const before = await recordsIn(broker.admin, topic)
  const producer = broker.kafka.producer()
  await producer.connect()
  const sending = new Set<Promise<unknown>>()
  for (let from = 0; from < records; from += 500) {
    const messages = Array.from({ length: Math.min(500, records - from) }, (_, i) => {
      const timestamp = String(Math.floor(fromMs + ((from + i) * spanMs) / records))
      return { ...message(from + i, keys), timestamp }
    })
    const sent: Promise<unknown> = producer.send({ topic, messages }).finally(() => sending.delete(sent))
    sending.add(sent)
    // Several at once arrive in any order.
    if (sending.size >= (times === undefined ? 4 : 1)) await Promise.race(sending)
  }
  await Promise.all(sending)
  await producer.disconnect()
  const loaded = (await recordsIn(broker.admin, topic)) - before
  if (loaded !== records) throw new Error(`${topic} has ${loaded} records instead of ${records}.`)
}

function message(n: number, keys: number): { key: string; value: string } {
  const user = `user-${(n * 7919) % keys}`
  const value = { n, user, amount: (n * 31) % 25_000, pad: '' }
  const pad = 100 - Buffer.byteLength(JSON.stringify(value))
  return { key: user, value: JSON.stringify({ ...value, pad: 'x'.repeat(Math.max(0, pad)) }) }
}
