import fc from 'fast-check'
import { deferred, systemClock } from '@millrace/core'
import type { WebDriver } from '@millrace/core/http'
import { afterEach, expect, test } from 'vitest'
import { eventually, within } from '../../eventually.ts'
import { HEADER_BYTES, openWorld, type WebWorld, type WorldOptions } from '../web-world.ts'

const clock = systemClock()
const IDLE_MS = 150

/** Invalid requests, and slow clients. */
export function hostileCases(createDriver: () => WebDriver): void {
  let world: WebWorld | undefined
  let seen: string[] = []
  const answers: WorldOptions['fetch'] = async (request) => {
    seen.push(request.url)
    return new Response('well')
  }
  const open = async (options: Partial<WorldOptions> = {}): Promise<WebWorld> => {
    seen = []
    return (world = await openWorld({ driver: createDriver(), fetch: answers, ...options }))
  }
  afterEach(async () => world?.close())
  const lives = async ({ url }: WebWorld): Promise<void> => expect(await (await fetch(url)).text()).toBe('well')

  test.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['bytes', '\x00\xff\x00\xff\r\n\r\n'],
    ['another protocol', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['an unknown method', 'BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['no target', 'GET HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a version that is none', 'GET / HTTP/9.9\r\nHost: a\r\n\r\n'],
    ['a header without a name', 'GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n'],
    ['a header with a control character', 'GET / HTTP/1.1\r\nHost: a\r\nx: \x01\x00\r\n\r\n'],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['a host that is none', 'GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n'],
    ['a host with a path', 'GET / HTTP/1.1\r\nHost: a/b?c\r\n\r\n'],
    ['a backslash in the path', 'GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a target that is no path', 'GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a URL that is none', 'GET http:// HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a content length that is no number', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('%s is answered with 4xx and reaches no fetch', async (_what, request) => {
    const opened = await open()
    const client = await opened.socket()
    client.write(request)
    expect(await client.until(/^HTTP\/1\.1 \d+ [^]*\r\n\r\n/)).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(seen).toEqual([])
    await lives(opened)
  })

  test.each([
    ['one header', `x: ${'y'.repeat(HEADER_BYTES)}\r\n`],
    ['many headers', Array.from({ length: 1000 }, (_, at) => `x-${at}: ${'y'.repeat(20)}\r\n`).join('')],
    ['more headers than anybody has', 'a:b\r\n'.repeat(300)],
    ['more headers than Node keeps', 'a:b\r\n'.repeat(2_500)],
  ])('%s beyond the limit: 431', async (_what, headers) => {
    const opened = await open()
    const client = await opened.socket()
    client.write(`GET / HTTP/1.1\r\nHost: a\r\n${headers}\r\n`)
    expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 431 /)
    expect(seen).toEqual([])
    await lives(opened)
  })

  test.each(['/a/../b', '/a/%2e%2e/b', '/a/.%2E/b?c', '/./', '/a/..', 'http://a/b/%2e/'])(
    'a path with dot segments, which a guard before the server may read differently, is refused: %s',
    async (target) => {
      const opened = await open()
      const client = await opened.socket()
      client.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
      expect(await client.ended()).toMatch(/^HTTP\/1\.1 400 /)
      expect(seen).toEqual([])
      expect((await fetch(`${opened.url}/..a/b../...?/../`)).status).toBe(200)
    },
  )

  test('a target that is a whole URL may not name another site than Host', async () => {
    const opened = await open()
    const status = async (target: string, host: string): Promise<string | undefined> => {
      const client = await opened.socket()
      client.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      return /^HTTP\/1\.1 (\d+)/.exec(await client.ended())?.[1]
    }
    for (const [target, host] of [
      ['http://b/x', 'a'],
      ['http://localhost/x', 'evil.example'],
      ['http://a@b/x', 'b'],
      ['http://b?//a', 'a'],
      ['http://b', 'a'],
      ['http://a:1/x', 'a:2'],
      ['https://a/x', 'a'],
      ['ftp://a/x', 'a'],
    ] as const)
      expect([target, await status(target, host)]).toEqual([target, '400'])
    expect(seen).toEqual([])
    expect(await status('http://a:1/x', 'a:1')).toBe('200')
    expect(await status('http://A/x', 'a')).toBe('200')
    expect(seen.map((url) => new URL(url).href)).toEqual(['http://a:1/x', 'http://a/x'])
  })

  test('one connection too many closes the longest idle one', async () => {
    const opened = await open({ connections: 3 })
    const [first, second, third] = [await opened.socket(), await opened.socket(), await opened.socket()]
    first.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await first.until(/well/)
    const fourth = await opened.socket()
    fourth.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await fourth.until(/well/)
    expect(await second.ended()).toBe('')
    const fifth = await opened.socket()
    expect(await third.ended()).toBe('')
    for (const client of [first, fourth, fifth]) {
      client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      expect(await client.ended()).toMatch(/connection: close[^]*well/i)
    }
  })

  test('if all connections have a request in flight the new one is closed, and they are answered', async () => {
    const go = deferred<void>()
    const opened = await open({
      connections: 2,
      fetch: async (request) => {
        seen.push(request.url)
        await go.promise
        return new Response('well')
      },
    })
    const busy = [await opened.socket(), await opened.socket()]
    for (const client of busy) client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => seen.length === 2, { what: 'both requests' })
    expect(await (await opened.socket()).ended()).toBe('')
    go.resolve()
    for (const client of busy) await client.until(/well/)
  })

  test('a client that does not read its answer gives way to a new one', async () => {
    const piece = new Uint8Array(1_000_000)
    const cancelled = deferred<void>()
    const opened = await open({
      connections: 2,
      fetch: async (request) => {
        seen.push(request.url)
        if (!request.url.endsWith('/long')) return new Response('well')
        return new Response(
          new ReadableStream({ pull: (controller) => controller.enqueue(piece), cancel: () => cancelled.resolve() }),
        )
      },
    })
    const slow = [await opened.socket(), await opened.socket()]
    for (const { socket, write } of slow) {
      socket.pause()
      write('GET /long HTTP/1.1\r\nHost: a\r\n\r\n')
    }
    await eventually(() => seen.length === 2, { what: 'both requests' })
    // Until the buffers on the way are full, the answers may be fast.
    await eventually(
      async () => {
        const client = await opened.socket()
        client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
        return (await client.ended()).includes('well')
      },
      { what: 'an answer for another client' },
    )
    await within(cancelled.promise, { what: 'the end of a long answer' })
  })

  test('a target of 10 kB is accepted', async () => {
    const { url } = await open()
    const path = `/${'k'.repeat(10_000)}`
    expect((await fetch(url + path)).status).toBe(200)
    expect(seen).toEqual([url + path])
  })

  test('invalid chunks end the connection', async () => {
    const opened = await open({ fetch: async (request) => new Response(await request.text().catch(() => 'no body')) })
    const client = await opened.socket()
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbody\r\n')
    await client.ended()
    expect((await fetch(opened.url)).status).toBe(200)
  })

  test('any bytes leave the server alive', async () => {
    const opened = await open()
    const piece = fc.oneof(
      fc.constantFrom(
        'GET ',
        '/',
        ' HTTP/1.1',
        '\r\n',
        '\r\n\r\n',
        'Host: a',
        'Content-Length: ',
        'Transfer-Encoding: chunked',
        '5',
        ':',
        '\x00',
        'http://',
        '%',
        '\\',
        'POST ',
      ),
      fc.string({ unit: 'binary', maxLength: 20 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
        const client = await opened.socket()
        client.socket.end(pieces.join(''), 'latin1')
        const text = await client.ended()
        expect(text).not.toMatch(/^HTTP\/1\.1 5/)
      }),
      { numRuns: 40 },
    )
    await lives(opened)
  })

  test('a silent client is cut off', async () => {
    const { socket } = await open({ idleMs: IDLE_MS })
    expect(await (await socket()).ended()).not.toContain('200')
  })

  test('a client that sends its headers byte by byte is cut off', async () => {
    const opened = await open({ idleMs: IDLE_MS })
    const client = await opened.socket()
    const stop = new AbortController()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n')
    const dripping = drip(() => client.write('x'), stop.signal)
    const text = await client.ended()
    stop.abort()
    await dripping
    expect(text === '' || text.startsWith('HTTP/1.1 408')).toBe(true)
    await lives(opened)
  })

  test('a client that does not read its answer is cut off', async () => {
    const cancelled = deferred<void>()
    const piece = new Uint8Array(1_000_000)
    const opened = await open({
      idleMs: IDLE_MS,
      fetch: async () =>
        new Response(
          new ReadableStream({ pull: (controller) => controller.enqueue(piece), cancel: () => cancelled.resolve() }),
        ),
    })
    const client = await opened.socket()
    client.socket.pause()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await within(cancelled.promise, { what: 'the answer to be given up' })
  })

  test('a page may take longer than a client may be silent', async () => {
    const { url } = await open({
      idleMs: IDLE_MS,
      fetch: async () => {
        await clock.sleep(IDLE_MS * 3)
        return new Response('slow')
      },
    })
    // On a busy machine the request itself may exceed its limit.
    const answer = await eventually(
      async () => {
        const response = await fetch(url)
        return response.status === 408 ? undefined : response
      },
      { what: 'an answer' },
    )
    expect(await answer.text()).toBe('slow')
  })

  test('an unused connection is closed', async () => {
    const { socket } = await open({ idleMs: IDLE_MS })
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 200/)
  })
}

async function drip(send: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    send()
    await clock.sleep(10)
  }
}
