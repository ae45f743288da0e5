import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeHttpDriver, testCertificates } from '@millrace/conformance'
import { manualClock, type ManualClock, type PemSource } from '@millrace/core'
import type { WebDriver } from '@millrace/core/http'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { keyOf, PARTITIONS, routeProcesses, type Running } from '../fixtures/route-processes.fixture.ts'
import { NO_TLS, smallGroup, smallSite, type SmallSite } from '../fixtures/small-site.fixture.ts'
import type { SiteSettings } from '../site-app.ts'
import { webPart, type WebPart } from './web-part.ts'

type Tls = SiteSettings['web']['tls']

const { start, stop } = routeProcesses()
afterEach(stop)
const topology = { topic() {}, subscribe: () => [], state() {}, order() {}, reads() {}, lead() {}, beforeTask() {} }

interface Answer {
  readonly status: number | undefined
  readonly body: string
}

/** Uses a new connection, as a client that trusts `ca`. */
function get(
  url: string,
  ca: string,
  options: { readonly headers?: Record<string, string>; cert?: string; key?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      url,
      { ca, servername: 'localhost', agent: new Agent({ maxCachedSessions: 0 }), ...options },
      (answer) => {
        let body = ''
        answer.on('data', (piece: Buffer) => (body += piece.toString()))
        answer.on('end', () => resolve({ status: answer.statusCode, body }))
      },
    )
    asked.on('error', reject)
    asked.end()
  })
}

const pem = (text: string): PemSource => ({ text, file: undefined })

async function tlsOf(
  more: Partial<Tls> = {},
  names: readonly string[] = [],
): Promise<{ readonly ca: string; readonly tls: Tls }> {
  const { ca, cert, key } = await testCertificates(names)
  return { ca, tls: { ...NO_TLS, cert: pem(cert), key: pem(key), ca: pem(ca), ...more } }
}

async function two(first: Tls, second: Tls): Promise<readonly [Running, Running]> {
  const group = smallGroup(PARTITIONS)
  return [
    await start(group, 'one', [0, 1, 2], { tls: first, token: 'secret' }),
    await start(group, 'two', [3, 4, 5], { tls: second, token: 'secret' }),
  ]
}

test('requests are forwarded over TLS, whatever host name the client asked for', async () => {
  const { ca, tls } = await tlsOf()
  const [one, other] = await two(tls, tls)
  const key = keyOf(other)
  other.own.words.put(key, 'there')
  expect([one.url, other.web.address()]).toEqual([expect.stringMatching(/^https:/), other.url])
  for (const headers of [{}, { host: 'orders.example' }]) {
    const answer = await get(`${one.url}/words/${key}/`, ca, { headers })
    expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { [key]: 'there', by: 'two' }])
  }
})

test('a worker’s certificate from another authority or for another name is not trusted', async () => {
  const { ca, tls } = await tlsOf()
  const { tls: others } = await tlsOf()
  const [one, other] = await two(tls, others)
  expect((await get(`${one.url}/words/${keyOf(other)}/`, ca)).status).toBe(503)
  await stop()
  const [named] = await two({ ...tls, servername: 'orders.example' }, tls)
  expect((await get(`${named.url}/words/${keyOf(other)}/`, ca, { headers: { host: 'localhost' } })).status).toBe(503)
})

test('one certificate serves workers reached by address, and clients must show one when asked', async () => {
  const { ca, tls } = await tlsOf({ servername: 'orders.example', clientCertificates: true }, ['orders.example'])
  const [one, other] = await two(tls, tls)
  const key = keyOf(other)
  other.own.words.put(key, 'there')
  const own = { cert: tls.cert?.text ?? '', key: tls.key?.text ?? '' }
  expect((await get(`${one.url}/words/${key}/`, ca, own)).body).toContain('"by":"two"')
  await expect(get(`${one.url}/words/${key}/`, ca)).rejects.toThrow(/certificate|reset|hang up|alert/i)
})

function partWith(
  tls: Tls,
  driver: WebDriver = nodeHttpDriver(),
  { now, reachedAt }: { readonly now?: number; readonly reachedAt?: string } = {},
): { readonly part: WebPart; readonly site: SmallSite; readonly clock: ManualClock } {
  const clock = manualClock(now === undefined ? {} : { now })
  const site = smallSite({ clock, settings: { tls } })
  if (reachedAt !== undefined) site.worker.listensAt = reachedAt
  const part = webPart(
    { site: site.site, driver, worker: () => site.worker, log: site.log },
    { host: '127.0.0.1', port: 0, advertise: undefined, maxConnections: 100, graceMs: 1_000 },
  )
  onTestFinished(() => part.stop())
  part.declare(site.worker.context, topology)
  return { part, site, clock }
}

test('a certificate replaced on disk is used within a minute, unless it does not match its key', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const [old, renewed] = [await testCertificates(), await testCertificates()]
  const files = { cert: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }
  const write = ({ cert, key }: { readonly cert: string; readonly key: string }): void => {
    writeFileSync(files.cert, cert)
    writeFileSync(files.key, key)
  }
  write(old)
  const { part, site, clock } = partWith({
    ...NO_TLS,
    cert: { text: old.cert, file: files.cert },
    key: { text: old.key, file: files.key },
  })
  await part.start()
  const url = `${part.url()}health/live`
  expect((await get(url, old.ca)).status).toBe(200)

  write({ cert: renewed.cert, key: old.key })
  await clock.advance(60_000)
  await expect
    .poll(() => site.logged.map(({ level, message }) => [level, message]))
    .toContainEqual(['warn', 'The certificate of the site could not be renewed; the old one stays.'])
  expect((await get(url, old.ca)).status).toBe(200)
  write(renewed)
  await clock.advance(60_000)
  await expect.poll(() => site.logged.map(({ message }) => message)).toContain('The site shows its new certificate.')
  expect((await get(url, renewed.ca)).status).toBe(200)
  await expect(get(url, old.ca)).rejects.toThrow(/certificate/)
})

test('an unusable web.tls setting gives an error that names it', async () => {
  const [{ tls }, { tls: others }] = [await tlsOf(), await tlsOf()]
  const key = createPrivateKey(tls.key?.text ?? '')
  const encrypted = pem(
    key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'opens it' }).toString(),
  )
  const wrong: readonly (readonly [Partial<Tls>, RegExp])[] = [
    [{ key: others.key }, /web\.tls\.key is the private key of another certificate than web\.tls\.cert/],
    [{ key: encrypted }, /web\.tls\.passphrase is missing: the private key in web\.tls\.key is encrypted/],
    [{ key: encrypted, passphrase: 'does not' }, /web\.tls\.passphrase does not open the private key/],
    [{ key: tls.cert }, /web\.tls\.key holds no private key/],
    [{ cert: tls.key }, /web\.tls\.cert holds no certificate/],
    [{ ca: tls.key }, /web\.tls\.ca holds no certificate/],
  ]
  for (const [changed, message] of wrong)
    await expect(partWith({ ...tls, ...changed }).part.start()).rejects.toThrow(message)
  await partWith({ ...tls, key: encrypted, passphrase: 'opens it' }).part.start()
})

test('an untrusted certificate gives a warning with the reason, also when it expires later', async () => {
  const { tls } = await tlsOf()
  const reasons = async (options: Parameters<typeof partWith>[2], more: Partial<Tls> = {}): Promise<unknown[]> => {
    const { part, site, clock } = partWith({ ...tls, ...more }, nodeHttpDriver(), options)
    await part.start()
    await clock.advance(60_000)
    await part.stop()
    return site.logged.filter(({ level }) => level === 'warn').map(({ fields }) => fields)
  }
  const { validFrom, validTo } = new X509Certificate(tls.cert?.text ?? '')
  const [begin, end] = [Date.parse(validFrom), Date.parse(validTo)]
  const is = (text: string): unknown[] => [{ reason: expect.stringContaining(`web.tls.cert ${text}`) }]
  expect(await reasons({ now: begin })).toEqual([])
  expect(await reasons({ now: end + 1 })).toEqual(is('has expired: it was valid until'))
  expect(await reasons({ now: end - 30_000 })).toEqual(is('has expired: it was valid until'))
  expect(await reasons({ now: begin - 3_600_000 })).toEqual(is('is not valid before'))
  const elsewhere = { now: begin, reachedAt: 'https://shop.example:6066' }
  expect(await reasons(elsewhere)).toEqual(is('is not for shop.example, but for DNS:localhost'))
  expect(await reasons(elsewhere, { servername: 'localhost' })).toEqual([])
})

test('a driver without TLS is an error, not a site over http', async () => {
  const { tls } = await tlsOf()
  const plain = nodeHttpDriver()
  const { part, site } = partWith(tls, {
    name: 'plain',
    serve: (options) => plain.serve({ ...options, tls: undefined }),
  })
  await expect(part.start()).rejects.toThrow(/"plain" cannot serve over TLS \(web\.tls\)/)
  expect(site.worker.failure?.message).toContain('web.tls')
})
