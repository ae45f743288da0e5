import { createApp, json, type App } from '@millrace/app'
import { type Codec, type RawHeaders, systemClock } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import { createMemoryTransport } from '@millrace/transport-embedded'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { testApp, type TestApp } from '../lib/test-app.ts'

const RECORDS = 10_000
const AT_ONCE = 500

/** A codec of an app with values that have no JSON, and with errors that are not Millrace's. */
const odd: Codec<bigint> = {
  name: 'odd',
  encode: (value) => Buffer.from(String(value)),
  decode(bytes) {
    if (bytes.length % 5 === 4) throw new RangeError(`odd: ${bytes.toString('latin1')}`)
    if (bytes.length % 5 === 3) throw Object.assign(Object.create(null), { message: 'no error at all' })
    return BigInt(bytes.length)
  },
}

const Order = z.object({ n: z.number() })

/** Where a record is: `topic/partition@offset`. */
type Place = string

/** One agent for each topic; one of them counts its keys in a table. */
function app(): { readonly app: App; readonly seen: Map<Place, number> } {
  const shop = createApp({ id: 'shop' })
  const seen = new Map<Place, number>()
  const topics = [
    shop.topic('orders', { key: 'number', value: json(Order), partitions: 2 }),
    shop.topic('notes', { key: 'string', value: 'string', partitions: 2 }),
    shop.topic('anything', { key: 'json', value: 'json', partitions: 2 }),
    shop.topic('oddities', { key: 'bytes', value: odd, partitions: 2 }),
  ] as const
  const counts = shop.table('counts', { key: 'string', value: 'number', default: () => 0, partitions: 2 })
  for (const topic of topics)
    shop.agent(`read-${topic.name}`, topic, async (stream) => {
      for await (const { key, value, partition, offset } of stream.events()) {
        const place = `${topic.name}/${partition}@${offset}`
        seen.set(place, (seen.get(place) ?? 0) + 1)
        // Walks through the value, as handlers do.
        if (topic.name === 'anything') JSON.stringify(value)
        if (topic.name === 'notes' && typeof key === 'string') counts.update(key, (n) => n + 1)
      }
    })
  return { app: shop, seen }
}

const TEXTS: readonly Buffer[] = [
  ...[
    '',
    '{"n":1}',
    '{"n":"1"}',
    '{"n":1e999}',
    '{"n":NaN}',
    '{}',
    '[]',
    'null',
    '""',
    '7',
    '-0',
    '1e308',
    '12345678901234567890',
    '"\\ud800"',
  ],
  ...[
    '{"__proto__":{"n":1}}',
    '{"n":1,"__proto__":null}',
    '{"constructor":{"prototype":{"n":1}}}',
    '{"n":1',
    '\ufeff{"n":1}',
    'x'.repeat(10_000),
  ],
  ...[
    '['.repeat(5_000),
    `${'['.repeat(2_000)}${']'.repeat(2_000)}`,
    '{"a":'.repeat(2_000),
    `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
    `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
    '\0',
    'ü',
    '🚀',
    '</script>',
    '\r\nX: y',
  ],
].map((text) => Buffer.from(text))
const BYTES: readonly Buffer[] = [
  'ff',
  'fffe',
  'c0af',
  'eda080',
  '1f8b0800',
  '00000000',
  '8000000000000000',
  '7ff0000000000000',
  'f4908080',
].map((hex) => Buffer.from(hex, 'hex'))
const HEADERS: readonly (readonly [string, Buffer | null])[] = [
  ['', Buffer.from('x')],
  ['trace', null],
  ['trace', Buffer.from('ffff', 'hex')],
  ['__proto__', Buffer.from('x')],
  ['constructor', null],
  ['x'.repeat(2_000), Buffer.alloc(2_000)],
  ['traceparent', Buffer.from('00-zz-zz-01')],
  ['traceparent', null],
  ['millrace-agent', Buffer.from('other')],
  ['millrace-topic', Buffer.from('../x')],
  ['millrace-partition', Buffer.from('-1')],
  ['millrace-offset', Buffer.from('NaN')],
  ['millrace-timestamp', Buffer.from('1e400')],
  ['millrace-attempts', Buffer.from('Infinity')],
  ['millrace-error-code', Buffer.from('x')],
  ['millrace-error-stack', Buffer.from('at secret.ts:1')],
  ['millrace-failed-at', null],
  ['millrace-trimmed', Buffer.from('{')],
  ['millrace-row-format', Buffer.from('99')],
  ['millrace-replay-for', Buffer.from('nobody')],
  ['millrace-replay-for', null],
  ['millrace-reply-topic', Buffer.from('nowhere')],
  ['millrace-reply-partition', Buffer.from('-1')],
  ['millrace-correlation-id', Buffer.from('x')],
  ['millrace-reply-error', Buffer.from('x')],
].map(([name, value]) => [String(name), value instanceof Buffer ? value : null])

/** Headers of requests whose replies would go to missing or wrong places. */
const REQUESTS: readonly RawHeaders[] = [
  'nowhere',
  '',
  'orders',
  'shop-read-notes-dlq',
  '__proto__',
  'shop-replies',
].flatMap((topic) =>
  ['0', '7', '9007199254740991'].map((partition): RawHeaders => [
    ['millrace-reply-topic', Buffer.from(topic)],
    ['millrace-reply-partition', Buffer.from(partition)],
    ['millrace-correlation-id', Buffer.from('x')],
  ]),
)

interface Mutated {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
}

function mutated(): fc.Arbitrary<readonly Mutated[]> {
  const flipped = fc.tuple(fc.constantFrom(...TEXTS), fc.nat(1 << 20), fc.nat(255)).map(([text, place, byte]) => {
    const bytes = Buffer.from(text)
    if (bytes.length > 0) bytes[place % bytes.length] = byte
    return bytes
  })
  const bytes = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...TEXTS) },
    { weight: 2, arbitrary: fc.constantFrom(...BYTES) },
    { weight: 3, arbitrary: flipped },
    { weight: 1, arbitrary: fc.constant(null) },
  )
  const record = fc.record({
    topic: fc.constantFrom('orders', 'notes', 'anything', 'oddities'),
    partition: fc.nat(1),
    key: bytes,
    value: bytes,
    headers: fc.oneof(
      { weight: 50, arbitrary: fc.array(fc.constantFrom(...HEADERS), { maxLength: 4 }) },
      { weight: 1, arbitrary: fc.constantFrom(...REQUESTS) },
    ),
  })
  return fc.array(record, { minLength: AT_ONCE, maxLength: AT_ONCE })
}

async function write(t: TestApp, records: readonly Mutated[]): Promise<void> {
  const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  const transport = createMemoryTransport(t.log, { clock: systemClock(), log: quiet })
  await transport.connect({ timeoutMs: 5_000 })
  try {
    const timestamp = t.clock.now()
    // In the partition of its key, as every Kafka client chooses it: rows of a table belong to the partition of their
    // event.
    const placed = records.map((record) => ({
      ...record,
      partition: record.key === null ? record.partition : partitionForKey(record.key, 2),
      timestamp,
    }))
    const outcomes = await transport.producer().send(placed, { guard: () => {} })
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([])
  } finally {
    await transport.close()
  }
}

const text = (bytes: Buffer | null): string => bytes?.toString('base64') ?? 'none'

test(
  'of 10,000 mutated records each is handled once or a dead letter, byte for byte; worker and pages stay as they were',
  { timeout: 120_000 },
  async () => {
    const { app: shop, seen } = app()
    await using t = await testApp(shop)
    await fc.assert(
      fc.asyncProperty(mutated(), async (records) => {
        await write(t, records)
        await t.settle()
      }),
      { numRuns: RECORDS / AT_ONCE, endOnFailure: true },
    )
    const letters = new Map<Place, { readonly key: string; readonly value: string }>()
    const twice: Place[] = [...seen].flatMap(([place, times]) => (times > 1 ? [place] : []))
    for (const topic of ['orders', 'notes', 'anything', 'oddities'])
      for (const { headers, key, value } of t.log.records(`shop-read-${topic}-dlq`)) {
        const told = (name: string): string => String(headers.findLast(([each]) => each === `millrace-${name}`)?.[1])
        const place = `${told('topic')}/${told('partition')}@${told('offset')}`
        if (letters.has(place) || seen.has(place)) twice.push(place)
        letters.set(place, { key: text(key), value: text(value) })
      }
    const lost: Place[] = []
    const changed: Place[] = []
    let written = 0
    for (const topic of ['orders', 'notes', 'anything', 'oddities'])
      for (const { partition, offset, key, value } of t.log.records(topic)) {
        written++
        const place = `${topic}/${partition}@${offset}`
        const letter = letters.get(place)
        // Tombstones are ignored, and so are values that a codec decodes to null, because a value is never null.
        const isNull = value === null || (topic === 'anything' && value.toString().trim() === 'null')
        if (!seen.has(place) && letter === undefined && !isNull) lost.push(place)
        if (letter !== undefined && (letter.key !== text(key) || letter.value !== text(value))) changed.push(place)
      }
    expect({ written, lost, changed, twice }).toEqual({ written: RECORDS, lost: [], changed: [], twice: [] })
    expect(letters.size).toBeGreaterThan(RECORDS / 10)
    expect(seen.size).toBeGreaterThan(RECORDS / 10)

    const pages = ['/health/ready', '/stats', '/metrics', '/live/', '/graph/', '/dead-letters/', '/table/', '/topics/']
    const peeks = ['orders', 'notes', 'anything', 'oddities'].map((topic) => `/topics/${topic}/records/?last=100`)
    const some = (await t.deadLetters.list({ newest: 25 })).flatMap(({ agent, newest }) =>
      newest.map(({ partition, offset }) => `/dead-letters/${agent}/${partition}/${offset}/`),
    )
    expect(some).toHaveLength(100)
    for (const path of [...pages, ...peeks, ...some]) {
      const answer = await t.fetch(path)
      expect([path, answer.status, (await answer.text()).length > 0]).toEqual([path, 200, true])
    }
  },
)
