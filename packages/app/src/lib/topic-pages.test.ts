import { json, type Codec } from '@millrace/core'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApp, runtimeOf } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const Order = {
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) =>
      typeof value === 'object' && value !== null && 'total' in value && typeof value.total === 'number'
        ? { value: { total: value.total } }
        : { issues: [{ message: 'is no number', path: ['total'] }] },
  },
}
/** A codec that the app defines. */
const backwards: Codec<string> = {
  name: 'backwards',
  encode: (text) => Buffer.from(text).reverse(),
  decode: (bytes) => Buffer.from(bytes).reverse().toString(),
}
const ACTION = { 'millrace-action': 'test', 'content-type': 'application/json' }

interface Peeked {
  readonly records: readonly { readonly key: unknown; readonly value: unknown; readonly [name: string]: unknown }[]
  readonly complete: boolean
}

describe('records of topics over HTTP', () => {
  const app = createApp({ id: 'shop', broker: 'memory:', web: { host: '127.0.0.1', port: 0 } }, { log: quiet })
  app.topic('orders', { key: 'number', value: json(Order), partitions: 3 })
  const notes = app.topic('notes', { value: 'string', partitions: 1 })
  app.topic('packed', { value: backwards, partitions: 1 })
  app.topic('raw', { value: 'bytes', partitions: 1 })
  let url: string

  beforeAll(async () => {
    await app.start()
    url = runtimeOf(app).running[0]?.web?.url() ?? ''
  })
  afterAll(() => app.stop())

  const send = (topic: string, body: unknown, headers: Record<string, string> = ACTION): Promise<Response> =>
    fetch(new URL(`/topics/${topic}/send/`, url), { method: 'POST', headers, body: JSON.stringify(body) })
  const peek = async (topic: string, query = ''): Promise<Peeked> => {
    const response = await fetch(new URL(`/topics/${topic}/records/${query}`, url))
    expect(response.status).toBe(200)
    return JSON.parse(await response.text()) as Peeked
  }

  it('lists the topics with their codecs', async () => {
    const listed: unknown = await (await fetch(new URL('/topics/', url))).json()
    expect(listed).toMatchObject({
      topics: expect.arrayContaining([expect.objectContaining({ name: 'orders', key: 'number', value: 'json' })]),
      send: { on: true },
    })
  })

  it('sends a valid record and shows it again, newest first', async () => {
    expect((await send('orders', { key: '7', value: { total: 3 } })).status).toBe(200)
    expect((await send('orders', { key: '8', value: { total: 4 } })).status).toBe(200)
    expect((await send('notes', { value: 'no JSON' })).status).toBe(200)
    expect((await send('packed', { value: 'abc' })).status).toBe(200)
    expect((await send('raw', { value: 'bytes' })).status).toBe(200)
    const { records, complete } = await peek('orders')
    expect(complete).toBe(true)
    expect(records).toHaveLength(2)
    expect(records).toEqual(
      expect.arrayContaining([expect.objectContaining({ key: 7, value: { total: 3 }, cut: false, headers: [] })]),
    )
    expect(await peek('notes')).toMatchObject({ records: [{ key: null, value: 'no JSON', partition: 0, offset: 0 }] })
    expect(await peek('packed')).toMatchObject({ records: [{ value: 'abc' }] })
    expect(await peek('raw')).toMatchObject({ records: [{ value: 'bytes' }] })
  })

  it.each([
    ['an invalid key', 'orders', { key: 'seven', value: { total: 1 } }, 'key', 'seven'],
    ['a value that violates the schema', 'orders', { key: '7', value: { total: 'much' } }, 'value', 'total'],
    ['a value that the codec refuses', 'notes', { value: { total: 1 } }, 'value', 'string'],
  ])('refuses %s, and names the field', async (_, topic, body, field, words) => {
    const before = (await peek(topic)).records.length
    const response = await send(topic, body)
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({ field, error: expect.stringContaining(words) })
    expect((await peek(topic)).records).toHaveLength(before)
  })

  it('refuses an invalid message, unknown and undeclared topics, and invalid numbers of records', async () => {
    for (const body of [{}, null, [], { key: 7, value: 'a' }]) expect((await send('notes', body)).status).toBe(400)
    expect((await send('nowhere', { value: 'a' })).status).toBe(404)
    expect((await send('shop-positions-changelog', { value: 'a' })).status).toBe(404)
    for (const last of ['0', '101', '-1', 'all', '1e1'])
      expect((await fetch(new URL(`/topics/notes/records/?last=${last}`, url))).status).toBe(400)
  })

  it('refuses other sites and foreign host names', async () => {
    const body = { value: 'evil' }
    expect((await send('notes', body, { 'content-type': 'application/json' })).status).toBe(403)
    expect((await send('notes', body, { ...ACTION, origin: 'http://evil.example' })).status).toBe(403)
    expect((await send('notes', body, { ...ACTION, 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect(await statusAs('rebound.example', new URL('/topics/notes/records/', url))).toBe(403)
    expect((await peek('notes')).records).not.toContainEqual(expect.objectContaining({ value: 'evil' }))
  })

  it('shows the requested number of records, and shortens long ones', async () => {
    for (let n = 0; n < 30; n++) await notes.send({ value: `note ${n}` })
    await notes.send({ value: 'x'.repeat(100_000) })
    const { records } = await peek('notes', '?last=5')
    expect(records).toHaveLength(5)
    expect(records[0]).toMatchObject({ value: 'x'.repeat(8192), cut: true })
    expect(records[1]).toMatchObject({ value: 'note 29', cut: false })
    expect((await peek('notes')).records).toHaveLength(20)
    for (let n = 0; n < 80; n++) await notes.send({ value: 'y'.repeat(9_000) })
    const many = await peek('notes', '?last=100')
    expect(many.complete).toBe(false)
    expect(JSON.stringify(many).length).toBeLessThan(600 * 1024)
  })
})

describe('records of protected topics', () => {
  it.each([
    ['kafka://127.0.0.1:1', undefined, '127.0.0.1', 'embedded broker only'],
    ['kafka://127.0.0.1:1', undefined, '203.0.113.7', 'web.token'],
    ['memory:', undefined, undefined, 'web.token'],
    ['memory:', false, '127.0.0.1', 'web.admin'],
  ])('of %s with web.admin %s are not sent by %s', async (broker, admin, peer, words) => {
    const app = createApp({ id: 'shop', broker, web: { ...(admin === undefined ? {} : { admin }) } }, { log: quiet })
    app.topic('notes', { value: 'string' })
    const response = await app.web.fetch(
      new Request('http://localhost/topics/notes/send/', { method: 'POST', headers: ACTION, body: '{"value":"a"}' }),
      peer,
    )
    expect(response.status).toBe(403)
    expect(await response.text()).toContain(words)
    if (admin === undefined && peer === '127.0.0.1') return
    expect((await app.web.fetch(new Request('http://localhost/topics/notes/records/'), peer)).status).toBe(403)
  })
})

/** A request under another host name, which `fetch` does not allow. */
function statusAs(host: string, url: URL): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { headers: { host } }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
}
