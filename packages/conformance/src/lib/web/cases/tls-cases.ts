import { request } from 'node:https'
import { connect, type TLSSocket } from 'node:tls'
import { deferred, isMillraceError } from '@millrace/core'
import type { ServerTls, WebDriver } from '@millrace/core/http'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { within } from '../../eventually.ts'
import { testCertificates, type TestCertificates } from '../test-certificates.ts'
import { openWorld, type WebWorld, type WorldOptions } from '../web-world.ts'

/** The same server over https. */
export function tlsCases(createDriver: () => WebDriver): void {
  let known: TestCertificates
  let world: WebWorld | undefined
  const answers: WorldOptions['fetch'] = async ({ url }, peer) => Response.json({ url, peer })
  const open = async (options: Partial<WorldOptions> = {}): Promise<WebWorld> =>
    (world = await openWorld({ driver: createDriver(), fetch: answers, tls: serverTls(known), ...options }))
  beforeAll(async () => {
    known = await testCertificates()
  })
  afterEach(async () => world?.close())

  const ask = (client: { readonly cert?: string; readonly key?: string } = {}): Promise<string> =>
    get(world?.server.port ?? 0, { ca: known.ca, ...client })

  test('requests have https and the address of their client', async () => {
    const { server } = await open()
    expect(server.scheme).toBe('https')
    expect(JSON.parse(await ask())).toEqual({ url: `https://127.0.0.1:${server.port}/`, peer: '127.0.0.1' })
  })

  test('requests without TLS get no answer, and others do', async () => {
    const { socket } = await open()
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(await client.ended()).not.toContain('HTTP/1.1 200')
    await ask()
  })

  test('clients that begin no handshake are cut off, and keep nobody out until then', async () => {
    const { socket } = await open({ connections: 2 })
    const silent = [await socket(), await socket()]
    await ask()
    expect(await Promise.race(silent.map((client) => client.ended()))).toBe('')
    await world?.close()
    const impatient = await (await open({ idleMs: 150 })).socket()
    expect(await impatient.ended()).toBe('')
  })

  test('with an authority for clients only clients with its certificates are accepted', async () => {
    await open({ tls: { ...serverTls(known), clientCa: known.ca } })
    await expect(ask()).rejects.toThrow(/certificate|reset|hang up/i)
    const others = await testCertificates()
    await expect(ask(pairOf(others))).rejects.toThrow(/certificate|alert|reset|hang up/i)
    expect(await ask(pairOf(known))).toContain('https://')
  })

  test('a renewed certificate is used from then on, and no request is cut off', async () => {
    const go = deferred<void>()
    const asked = deferred<void>()
    const { server } = await open({
      fetch: async () => {
        asked.resolve()
        await go.promise
        return new Response('finished')
      },
    })
    const before = ask()
    await asked.promise
    const renewed = await testCertificates()
    server.renewTls(serverTls(renewed))
    expect(() => server.renewTls({ ...serverTls(renewed), key: known.key })).toThrow(/key/i)
    go.resolve()
    expect(await before).toBe('finished')
    await expect(ask()).rejects.toThrow(/certificate/)
    expect(await get(server.port, { ca: renewed.ca })).toBe('finished')
  })

  test('a key of another certificate: SETTING_INVALID, naming the setting', async () => {
    const others = await testCertificates()
    const error: unknown = await open({ tls: { ...serverTls(known), key: others.key } }).catch((thrown) => thrown)
    expect(isMillraceError(error, 'SETTING_INVALID')).toBe(true)
    expect(String(error)).toContain('web.tls')
  })

  test('it closes with connections before, in and after their handshake', async () => {
    const { server, socket } = await open()
    const before = await socket()
    const after: TLSSocket = connect({ port: server.port, host: '127.0.0.1', ca: known.ca })
    const ended = new Promise<void>((resolve) => after.once('close', () => resolve()))
    await within(new Promise((resolve) => after.once('secureConnect', resolve)), { what: 'the handshake' })
    await within(server.close(60_000), { what: 'the server to close', limitMs: 5_000 })
    await Promise.all([before.ended(), ended])
  })
}

function serverTls({ cert, key }: TestCertificates): ServerTls {
  return { cert, key, passphrase: undefined, clientCa: undefined }
}

function pairOf({ cert, key }: TestCertificates): { readonly cert: string; readonly key: string } {
  return { cert, key }
}

/** The body of `/`, over a connection of its own. */
function get(
  port: number,
  tls: { readonly ca: string; readonly cert?: string; readonly key?: string },
): Promise<string> {
  return within(
    new Promise<string>((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, agent: false, ...tls }, (answer) => {
        answer.setEncoding('utf8')
        let text = ''
        answer.on('data', (piece: string) => (text += piece))
        answer.on('end', () => resolve(text))
        answer.on('error', reject)
      })
      asked.on('error', reject)
      asked.end()
    }),
    { what: 'an answer' },
  )
}
