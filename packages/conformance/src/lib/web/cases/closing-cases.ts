import { deferred, isMillraceError, systemClock } from '@millrace/core'
import type { WebDriver } from '@millrace/core/http'
import { afterEach, expect, test } from 'vitest'
import { within } from '../../eventually.ts'
import { openWorld, type WebWorld, type WorldOptions } from '../web-world.ts'

const SOON = { what: 'the server to close', limitMs: 2000 }

/** The server's port, and its end. */
export function closingCases(createDriver: () => WebDriver): void {
  let world: WebWorld | undefined
  const open = async (fetch: WorldOptions['fetch'] = async () => new Response('well')): Promise<WebWorld> =>
    (world = await openWorld({ driver: createDriver(), fetch }))
  const serveAt = (host: string, port: number): Promise<unknown> =>
    createDriver().serve({
      fetch: async () => new Response(),
      address: { host, port },
      limits: { headerBytes: 1000, idleMs: 1000, connections: 100 },
      clock: systemClock(),
      onError: () => {},
    })
  afterEach(async () => world?.close())

  test('port 0 uses a free port', async () => {
    const { server, url } = await open()
    expect(server.port).toBeGreaterThan(0)
    expect(await (await fetch(url)).text()).toBe('well')
  })

  test('a port in use: PORT_IN_USE, naming port and setting', async () => {
    const { server } = await open()
    const error: unknown = await serveAt('127.0.0.1', server.port).catch((thrown: unknown) => thrown)
    expect(isMillraceError(error, 'PORT_IN_USE')).toBe(true)
    expect(String(error)).toContain(String(server.port))
    expect(String(error)).toContain('web.port')
  })

  test('a host that is not here: SETTING_INVALID, naming it and the setting', async () => {
    const error: unknown = await serveAt('192.0.2.1', 0).catch((thrown: unknown) => thrown)
    expect(isMillraceError(error, 'SETTING_INVALID')).toBe(true)
    expect(String(error)).toContain('192.0.2.1')
    expect(String(error)).toContain('web.host')
  })

  test('idle connections, used or not, do not keep it open', async () => {
    const { server, socket } = await open()
    const [unused, used] = [await socket(), await socket()]
    used.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await used.until(/well/)
    await within(server.close(60_000), SOON)
    await Promise.all([unused.ended(), used.ended()])
  })

  test('requests in flight are finished, new connections refused', async () => {
    const asked = deferred<void>()
    const go = deferred<void>()
    const { server, socket, url } = await open(async () => {
      asked.resolve()
      await go.promise
      return new Response('finished')
    })
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await asked.promise
    const closing = server.close(60_000)
    await expect(fetch(url)).rejects.toThrow('fetch failed')
    go.resolve()
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 200[^]*finished/)
    await within(closing, SOON)
  })

  test('an answer under way is finished', async () => {
    const rest = deferred<void>()
    const { server, socket } = await open(
      async () =>
        new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(new TextEncoder().encode('first')),
            async pull(controller) {
              await rest.promise
              controller.enqueue(new TextEncoder().encode('last'))
              controller.close()
            },
          }),
        ),
    )
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.until(/first/)
    const closing = server.close(60_000)
    rest.resolve()
    expect(await client.ended()).toMatch(/first[^]*last[^]*0\r\n\r\n$/)
    await within(closing, SOON)
  })

  test('an answer that takes longer than the grace is cut off', async () => {
    const asked = deferred<void>()
    const aborted = deferred<void>()
    const { server, socket } = await open(async ({ signal }) => {
      signal.addEventListener('abort', () => aborted.resolve())
      asked.resolve()
      return new Promise(() => {})
    })
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await asked.promise
    await within(server.close(50), SOON)
    expect(await client.ended()).toBe('')
    await within(aborted.promise, { what: 'the abort' })
  })

  test('closing again is no error, and the shorter grace applies', async () => {
    const asked = deferred<void>()
    const { server, socket } = await open(async () => {
      asked.resolve()
      return new Promise(() => {})
    })
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await asked.promise
    const patient = server.close(60_000)
    await within(server.close(0), SOON)
    await within(patient, SOON)
    await server.close(1000)
  })
}
