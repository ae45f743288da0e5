import { codecWait, isMillraceError, MillraceError } from '@millrace/core'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { avro } from './avro.ts'
import { boundTo, until } from './fixtures/bound.fixture.ts'
import { RegistryServer } from './fixtures/registry-server.fixture.ts'

interface Order {
  readonly id: string
  readonly total: number
}

interface NotedOrder extends Order {
  readonly note: string | null
}

const ORDER = {
  type: 'record',
  name: 'Order',
  namespace: 'shop',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'total', type: 'double' },
  ],
}
const NOTED = { ...ORDER, fields: [...ORDER.fields, { name: 'note', type: ['null', 'string'], default: null }] }
const order = avro<Order>({ schema: ORDER, register: true })
const noted = avro<NotedOrder>({ schema: NOTED, register: true })

let server: RegistryServer
let url: string
beforeEach(async () => {
  server = new RegistryServer()
  url = await server.start()
})
afterEach(() => server[Symbol.asyncDispose]())

const coded = (code: string, detail: RegExp = /./): unknown =>
  expect.objectContaining({ code, detail: expect.stringMatching(detail) })

describe('values', () => {
  test('have a zero and the id of their schema before the bytes of Avro', async () => {
    const { codecs, bind } = boundTo(url)
    const codec = bind(order)
    await codecs.open()
    const bytes = codec.encode({ id: 'a', total: 1 })
    expect(bytes.toString('hex')).toBe('00000000010261000000000000f03f')
    expect(codec.decode(bytes)).toStrictEqual({ id: 'a', total: 1 })
    expect(await server.api.subjects()).toEqual(['orders-value'])
  })

  test('of any content and size come back', async () => {
    const { codecs, bind } = boundTo(url)
    const codec = bind(noted)
    await codecs.open()
    const orders = fc.record(
      {
        id: fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.nat({ max: 20_000 }).map((n) => 'x'.repeat(n)),
        ),
        total: fc.double({ noNaN: true }),
        note: fc.option(fc.string(), { nil: null }),
      },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(fc.array(orders, { maxLength: 5 }), (values) => {
        // All are encoded before the first is decoded: none may be in the buffer of another.
        const all = values.map((value) => codec.encode(value))
        expect(all.map((bytes) => codec.decode(bytes))).toStrictEqual(values)
      }),
      { numRuns: 40 },
    )
  })

  test('that do not fit name the field, and bytes of others are refused', async () => {
    const { codecs, bind } = boundTo(url)
    const codec = bind(order)
    await codecs.open()
    expect(() => Reflect.apply(codec.encode, codec, [{ id: 'a', total: 'b' }])).toThrow(
      coded('SCHEMA_MISMATCH', /^total: invalid "double": "b"/),
    )
    for (const bytes of [Buffer.from('{"id":"a"}'), Buffer.alloc(3), Buffer.alloc(0)])
      expect(() => codec.decode(bytes)).toThrow(/zero and the id/)
    expect(() => codec.decode(codec.encode({ id: 'abc', total: 1 }).subarray(0, 7))).toThrow(/end within/)
  })

  test('with 64 bits are numbers while they are safe, or BigInts', async () => {
    const { codecs, bind } = boundTo(url)
    const numbers = bind(avro<number>({ schema: 'long', register: true }))
    const bigs = bind(avro<bigint>({ schema: 'long', long: 'bigint', register: true }))
    await codecs.open()
    const most = 2n ** 63n - 1n
    expect(bigs.decode(bigs.encode(most))).toBe(most)
    expect(numbers.decode(bigs.encode(7n))).toBe(7)
    expect(() => numbers.decode(bigs.encode(most))).toThrow(/precision/)
  })

  test('typed as text are JSON', async () => {
    const { codecs, bind } = boundTo(url)
    const codec = bind(order)
    await codecs.open()
    expect(codec.decode(codec.encodeText?.('{"id":"a","total":2}') ?? Buffer.alloc(0))).toEqual({ id: 'a', total: 2 })
  })
})

describe('schemas that change', () => {
  test('a reader gets defaults for what the writer lacks, and passes over what it does not know', async () => {
    const [old, young] = [boundTo(url), boundTo(url)]
    const [before, after] = [old.bind(order), young.bind(noted)]
    await old.codecs.open()
    await young.codecs.open()
    expect(after.decode(before.encode({ id: 'a', total: 1 }))).toEqual({ id: 'a', total: 1, note: null })
    const bytes = after.encode({ id: 'b', total: 2, note: 'soon' })
    const wait = before.missing?.(bytes)
    expect(wait).toBeInstanceOf(Promise)
    expect(before.missing?.(bytes)).toBeInstanceOf(Promise)
    await wait
    expect(before.missing?.(bytes)).toBeUndefined()
    expect(before.decode(bytes)).toEqual({ id: 'b', total: 2 })
    expect(server.asked.filter((asked) => asked.includes('/schemas/ids/'))).toEqual(['GET /schemas/ids/2'])
  })

  test('one that cannot be read with the other is an error of its own, at each record', async () => {
    const { codecs, bind } = boundTo(url)
    const written = bind(avro({ schema: 'string', register: true }))
    const codec = bind(order)
    await codecs.open()
    const bytes = written.encode('a')
    for (let n = 0; n < 2; n++)
      expect(() => codec.decode(bytes)).toThrow(coded('SCHEMA_INCOMPATIBLE', /^Schema \d: .*string/))
  })

  test('without a schema in the code, the newest of the subject is used', async () => {
    const first = boundTo(url)
    const written = first.bind(noted)
    await first.codecs.open()
    const { codecs, bind } = boundTo(url)
    const codec = bind(avro<NotedOrder>())
    await codecs.open()
    expect(codec.decode(written.encode({ id: 'a', total: 1, note: 'n' }))).toEqual({ id: 'a', total: 1, note: 'n' })
    expect(codec.encode({ id: 'a', total: 1, note: null })).toEqual(written.encode({ id: 'a', total: 1, note: null }))
    const none = boundTo(url)
    none.bind(avro({ subject: 'others' }))
    await expect(none.codecs.open()).rejects.toThrow(coded('SCHEMA_NOT_REGISTERED', /others/))
  })
})

describe('what the registry has', () => {
  const strict = avro<Order>({ schema: ORDER })

  test('nothing is registered unless the codec says so: reading goes on, and sending says what to do', async () => {
    const { codecs, bind, clock } = boundTo(url)
    const codec = bind(strict)
    await codecs.open()
    expect(() => codec.encode({ id: 'a', total: 1 })).toThrow(coded('SCHEMA_NOT_REGISTERED', /orders-value/))
    expect(await server.api.subjects()).toEqual([])
    const bytes = Buffer.from('00000000010261000000000000f03f', 'hex')
    await server.api.register('orders-value', { type: 'AVRO', text: JSON.stringify(ORDER), references: [] })
    await codec.missing?.(bytes)
    expect(codec.decode(bytes)).toEqual({ id: 'a', total: 1 })
    // Once it is registered, sending begins without a restart.
    await clock.advance('11s')
    let sent: Buffer | undefined
    await until(clock, 'it is sent', () => {
      try {
        sent = codec.encode({ id: 'a', total: 1 })
      } catch (error) {
        if (!isMillraceError(error, 'SCHEMA_NOT_REGISTERED')) throw error
      }
      return sent !== undefined
    })
    expect(sent).toEqual(bytes)
  })

  test('a table that cannot be written is an error at start, as is a schema that the registry refuses', async () => {
    const table = boundTo(url)
    table.bind(strict, { isWritten: true, topic: 'shop-totals-changelog' })
    await expect(table.codecs.open()).rejects.toThrow(coded('SCHEMA_NOT_REGISTERED', /shop-totals-changelog-value/))
    server.verdict = 'READER_FIELD_MISSING_DEFAULT_VALUE: note'
    const refused = boundTo(url)
    refused.bind(order)
    await expect(refused.codecs.open()).rejects.toThrow(coded('SCHEMA_INCOMPATIBLE', /note/))
  })

  test('subjects follow their strategy, and an unknown one is refused', async () => {
    const { codecs, bind } = boundTo(url)
    bind(order, { part: 'key', canonical: true })
    bind(avro({ schema: ORDER, register: true, strategy: 'RecordNameStrategy' }))
    bind(avro({ schema: ORDER, register: true, strategy: 'TopicRecordNameStrategy' }))
    bind(avro({ schema: ORDER, register: true, subject: 'ours' }))
    await codecs.open()
    expect((await server.api.subjects()).toSorted()).toEqual(['orders-key', 'orders-shop.Order', 'ours', 'shop.Order'])
    expect(() => bind(avro({ strategy: 'RecordNameStrategy' }))).toThrow(coded('DEFINITION_INVALID', /no schema/))
    expect(() => Reflect.apply(avro, undefined, [{ shema: ORDER }])).toThrow(coded('DEFINITION_INVALID', /shema/))
  })

  test('a schema that is none, and a key whose equal values may differ, are refused where they are declared', () => {
    const { bind } = boundTo(url)
    expect(() => bind(avro({ schema: { type: 'recrd', name: 'A' } }))).toThrow(coded('SCHEMA_INVALID'))
    const map = avro({ schema: { type: 'map', values: 'int' } })
    expect(() => bind(map, { part: 'key', canonical: true })).toThrow(coded('SCHEMA_INVALID', /map/))
    expect(() => bind(map)).not.toThrow()
  })

  test('user and password go with each request', async () => {
    const { codecs, bind } = boundTo(url.replace('//', '//me:s%40cret@'))
    bind(order)
    await codecs.open()
    expect(server.authorization).toBe(`Basic ${Buffer.from('me:s@cret').toString('base64')}`)
  })
})

describe('a registry that is away', () => {
  const written = Buffer.from('00000000010261000000000000f03f', 'hex')

  test.each([
    ['an error', { status: 503, body: '{"message":"starting"}' }],
    ["a proxy's page", { status: 404, body: '<html>' }],
    ['a login that is refused', { status: 401, body: '' }],
  ])('is waited for while records come, with %s, and nothing counts as missing', async (_, failure) => {
    const { codecs, bind, clock, logged } = boundTo(url)
    const codec = bind(avro<Order>({ schema: ORDER }))
    await codecs.open()
    await server.api.register('others', { type: 'AVRO', text: JSON.stringify(ORDER), references: [] })
    server.failure = failure
    const before = server.asked.length
    let isHere = false
    void codec.missing?.(written)?.then(() => (isHere = true))
    await until(clock, 'it was asked often', () => server.asked.length > before + 5)
    expect(isHere).toBe(false)
    let thrown: unknown
    try {
      codec.decode(written)
    } catch (error) {
      thrown = error
    }
    expect(codecWait(thrown)).toBeInstanceOf(Promise)
    expect(logged.filter((line) => line.includes('does not answer'))).toHaveLength(1)
    server.failure = undefined
    await until(clock, 'it is here', () => isHere)
    expect(codec.decode(written)).toEqual({ id: 'a', total: 1 })
    expect(logged.at(-1)).toContain('answers again')
  })

  test('an id that it does not have is an error, asked for a few times and then for a while no more', async () => {
    const { codecs, bind, clock } = boundTo(url)
    const codec = bind(avro<Order>({ schema: ORDER }))
    await codecs.open()
    let isHere = false
    void codec.missing?.(written)?.then(() => (isHere = true))
    await until(clock, 'it is known', () => isHere)
    expect(codec.missing?.(written)).toBeUndefined()
    expect(() => codec.decode(written)).toThrow(coded('SCHEMA_ID_MISSING', /schema 1/))
    expect(server.asked.filter((asked) => asked === 'GET /schemas/ids/1')).toHaveLength(4)
    await clock.advance('31s')
    expect(codec.missing?.(written)).toBeInstanceOf(Promise)
    codecs.close()
  })

  test('ends a start after connectTimeout; a start with a wrong login at once', async () => {
    server.failure = { status: 503, body: '' }
    const { codecs, bind, clock } = boundTo(url)
    bind(order)
    let failed: unknown
    codecs.open().catch((error: unknown) => (failed = error))
    await until(clock, 'it was asked', () => server.asked.length > 0)
    await clock.advance('60s')
    expect(failed).toEqual(coded('SCHEMA_REGISTRY_UNREACHABLE', /127\.0\.0\.1:\d+ .*60 s/))
    codecs.close()
    server.failure = { status: 403, body: '' }
    const other = boundTo(url)
    other.bind(order)
    await expect(other.codecs.open()).rejects.toThrow(coded('SCHEMA_REGISTRY_REFUSED', /403/))
  })

  test('is nothing to wait for when no URL is set', async () => {
    const { codecs, bind } = boundTo(undefined)
    bind(order)
    const failed: unknown = await codecs.open().catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(MillraceError)
    expect(failed).toEqual(coded('SCHEMA_REGISTRY_UNSET', /orders-value/))
  })
})
