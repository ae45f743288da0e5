import { deferred } from '@millrace/core'
import type { WebDriver } from '@millrace/core/http'
import { afterEach, expect, test } from 'vitest'
import { within } from '../../eventually.ts'
import { openWorld, type WebWorld, type WorldOptions } from '../web-world.ts'

/** Requests reach `fetch` unchanged, and its responses reach the client. */
export function exchangeCases(createDriver: () => WebDriver): void {
  let world: WebWorld | undefined
  const open = async (fetch: WorldOptions['fetch']): Promise<WebWorld> =>
    (world = await openWorld({ driver: createDriver(), fetch }))
  afterEach(async () => world?.close())

  test('method, URL, headers and body arrive as sent', async () => {
    const { url } = await open(async (request) =>
      Response.json({
        method: request.method,
        url: request.url,
        header: request.headers.get('x-one'),
        body: await request.text(),
      }),
    )
    const answer = await fetch(`${url}/a%2Fb/c%20d/?q=%E2%82%AC&r=1+2`, {
      method: 'PUT',
      headers: { 'x-one': 'eins' },
      body: 'Grüße',
    })
    expect(await answer.json()).toEqual({
      method: 'PUT',
      url: `${url}/a%2Fb/c%20d/?q=%E2%82%AC&r=1+2`,
      header: 'eins',
      body: 'Grüße',
    })
  })

  test.each(['GET', 'POST', 'PATCH', 'DELETE', 'OPTIONS'])('%s is distinguished from other methods', async (method) => {
    const { url } = await open(async (request) => new Response(request.method))
    expect(await (await fetch(url, { method })).text()).toBe(method)
  })

  test('the host is that of the client', async () => {
    const { socket } = await open(async (request) => new Response(request.url))
    const client = await socket()
    client.write('GET /x HTTP/1.1\r\nHost: words.example:8080\r\nConnection: close\r\n\r\n')
    expect(await client.ended()).toContain('http://words.example:8080/x')
  })

  test.each(['with a length', 'without a body', 'as a stream'])(
    'header values keep their bytes in both directions, in an answer %s',
    async (how) => {
      const seen: (string | null)[] = []
      const { socket } = await open(async ({ headers }) => {
        seen.push(headers.get('x-bytes'))
        const sent = { headers: { 'x-bytes': headers.get('x-bytes') ?? '' } }
        if (how === 'without a body') return new Response(null, { status: 204, ...sent })
        if (how === 'as a stream') return new Response(new Blob(['made']).stream(), sent)
        return new Response('made', { headers: { ...sent.headers, 'content-length': '4' } })
      })
      const bytes = String.fromCharCode(...Array.from({ length: 128 }, (_, n) => 128 + n))
      for (const value of [bytes, Buffer.from('Grüße 🚀').toString('latin1'), 'a\tb', 'a  b']) {
        const client = await socket()
        client.write(`GET / HTTP/1.1\r\nHost: a\r\nX-Bytes: ${value}\r\nConnection: close\r\n\r\n`)
        expect((await client.ended()).toLowerCase()).toContain(`\r\nx-bytes: ${value.toLowerCase()}\r\n`)
        expect(seen.at(-1)).toBe(value)
      }
    },
  )

  test('status, headers, several cookies and body are sent', async () => {
    const { url } = await open(async () => {
      const headers = new Headers({ 'x-two': 'zwei', 'content-type': 'text/plain' })
      headers.append('set-cookie', 'a=1')
      headers.append('set-cookie', 'b=2')
      return new Response('made', { status: 201, headers })
    })
    const answer = await fetch(url)
    expect([answer.status, answer.headers.get('x-two'), answer.headers.getSetCookie(), await answer.text()]).toEqual([
      201,
      'zwei',
      ['a=1', 'b=2'],
      'made',
    ])
  })

  test.each([204, 304])('%d has no body and the connection goes on', async (status) => {
    const { socket } = await open(async () => new Response(null, { status }))
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect((await client.ended()).match(new RegExp(`HTTP/1.1 ${status}`, 'g'))).toHaveLength(2)
  })

  test('a megabyte of bytes is returned unchanged', async () => {
    const { url } = await open(async (request) => new Response(await request.arrayBuffer()))
    const bytes = Buffer.alloc(
      1_000_000,
      Uint8Array.from({ length: 256 }, (_, byte) => byte),
    )
    const answer = await fetch(url, { method: 'POST', body: bytes })
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
  })

  test('HEAD sends the headers and no body', async () => {
    const { socket } = await open(
      async (request) => new Response(null, { headers: { 'x-method': request.method, 'content-length': '5' } }),
    )
    const client = await socket()
    client.write('HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const text = (await client.ended()).toLowerCase()
    expect(text.match(/x-method: head/g)).toHaveLength(2)
    expect(text.match(/content-length: 5/g)).toHaveLength(2)
    expect(text.endsWith('\r\n\r\n')).toBe(true)
  })

  test('requests on one connection are answered in order', async () => {
    const first = deferred<void>()
    const { socket } = await open(async (request) => {
      if (request.url.endsWith('/1')) await first.promise
      else first.resolve()
      return new Response(`answer ${request.url.slice(-1)}`)
    })
    const client = await socket()
    client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect((await client.ended()).match(/answer \d/g)).toEqual(['answer 1', 'answer 2'])
  })

  test('a client that waits for 100 Continue gets it before the answer, and never within the answer to an earlier request', async () => {
    const { socket } = await open(
      async (request) => new Response(`read ${(await request.text()).length}`, { headers: { 'content-length': '6' } }),
    )
    const ask = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n'
    const client = await socket()
    client.write(`${ask}\r\n`)
    expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\n$/)
    client.write('abcde')
    await client.until(/read 5/)
    client.write(`${ask}\r\nabcde${ask}Connection: close\r\n\r\nabcde`)
    const answers = (await client.ended()).split(/HTTP\/1\.1 200 OK\r\n/).slice(1)
    expect(answers).toHaveLength(3)
    // There is nothing between head and body.
    for (const answer of answers) expect(answer).toMatch(/^([\w-]+: [^\r]*\r\n)+\r\nread 5/)
  })

  test('a body is read while it comes', async () => {
    const firstPiece = deferred<string>()
    const { socket } = await open(async (request) => {
      let text = ''
      for await (const piece of request.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += piece
        firstPiece.resolve(text)
      }
      return new Response(text)
    })
    const client = await socket()
    client.write('POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n')
    expect(await within(firstPiece.promise, { what: 'the first piece' })).toBe('one')
    client.write('3\r\ntwo\r\n0\r\n\r\n')
    expect(await client.ended()).toContain('onetwo')
  })

  test('an answer is sent while it is produced, and its head before the body', async () => {
    const next = [deferred<string>(), deferred<string>()]
    const { socket } = await open(async () => {
      const pieces = next.values()
      return new Response(
        new ReadableStream({
          async pull(controller) {
            const { value } = pieces.next()
            if (value === undefined) controller.close()
            else controller.enqueue(new TextEncoder().encode(await value.promise))
          },
        }),
      )
    })
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await client.until(/^HTTP\/1\.1 200[^]*\r\n\r\n/)
    next[0]?.resolve('one')
    await client.until(/one/)
    next[1]?.resolve('two')
    expect(await client.ended()).toMatch(/one[^]*two/)
  })

  test('an unread body does not block the next request', async () => {
    const { socket } = await open(async (request) => new Response(`answer ${request.method}`))
    const client = await socket()
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(300_000)}`)
    await client.until(/answer POST/)
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    // A server may also end the connection: the client then uses another.
    expect(await client.ended()).toMatch(/answer POST([^]*answer GET)?/)
  })

  test('an answer that needs no body is sent before the body arrives', async () => {
    const { socket } = await open(async () => Response.json({ error: 'too long' }, { status: 413 }))
    const client = await socket()
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n${'x'.repeat(1000)}`)
    expect(await client.until(/too long/)).toMatch(/^HTTP\/1\.1 413/)
  })
}
