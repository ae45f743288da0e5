import { createServer } from 'node:http'
import { connect } from 'node:net'
import { deferred } from '@millrace/core'
import { afterEach, expect, test } from 'vitest'
import { expectUnavailable } from '../fixtures/expect-unavailable.fixture.ts'
import { keyOf, routeProcesses } from '../fixtures/route-processes.fixture.ts'
import { smallGroup } from '../fixtures/small-site.fixture.ts'
import { View } from '../pages/view.ts'
import type { PageContext } from '../pages/page-context.ts'

const { start, three, listen, stop } = routeProcesses()
afterEach(stop)

test('forwards method, query, headers and body; returns status, headers, cookies and body', async () => {
  const [one, two, three_] = await three()
  for (const { site, own, worker } of [one, two, three_]) {
    class Echo extends View {
      override post = site.tableRoute(own.words, { param: 'word' }, async (c: PageContext) => {
        const headers = new Headers({
          'x-by': worker.id,
          'x-given': c.request.headers.get('x-given') ?? '',
          'x-url': c.request.url,
          'content-type': 'application/octet-stream',
        })
        headers.append('set-cookie', 'a=1')
        headers.append('set-cookie', 'b=2')
        return new Response(await c.request.arrayBuffer(), { status: 207, headers })
      })
    }
    site.page('/echo/:word/', Echo)
  }
  const bytes = Buffer.alloc(
    300_000,
    Uint8Array.from({ length: 256 }, (_, byte) => byte),
  )
  const answer = await fetch(`${one.url}/echo/${keyOf(two)}/?q=%E2%82%AC`, {
    method: 'POST',
    headers: { 'x-given': 'kept' },
    body: bytes,
  })
  expect([
    answer.status,
    answer.headers.get('x-by'),
    answer.headers.get('x-given'),
    answer.headers.getSetCookie(),
  ]).toEqual([207, 'two', 'kept', ['a=1', 'b=2']])
  expect(answer.headers.get('x-url')).toBe(`${one.url}/echo/${keyOf(two)}/?q=%E2%82%AC`)
  expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
  const streamed = await fetch(`${one.url}/echo/${keyOf(two)}/`, {
    method: 'POST',
    body: new Blob(['pieces']).stream(),
    duplex: 'half',
  })
  expect(await streamed.text()).toBe('pieces')
  const head = await fetch(`${one.url}/words/${keyOf(two)}/`, { method: 'HEAD' })
  expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([200, 'application/json', ''])
})

test('header values keep their bytes in both directions', async () => {
  const bytes = String.fromCharCode(...Array.from({ length: 128 }, (_, n) => 128 + n))
  const values = [bytes, Buffer.from('Grüße 🚀').toString('latin1'), 'a\tb', 'a  b', '', '\xe9']
  const [one, two] = await three()
  const seen: (string | null)[] = []
  for (const { site, own } of [one, two]) {
    const answer = async (c: PageContext): Promise<Response> => {
      const value = c.request.headers.get('x-bytes')
      seen.push(value)
      const body = await c.request.text()
      const sent = c.query.has('stream') ? new Blob([body]).stream() : body
      return new Response(sent, {
        headers: { 'x-bytes': value ?? '', 'content-disposition': `attachment; filename="${value ?? ''}"` },
      })
    }
    class Echo extends View {
      override get = site.tableRoute(own.words, { param: 'word' }, answer)
      override post = site.tableRoute(own.words, { param: 'word' }, answer)
    }
    site.page('/echo/:word/', Echo)
  }
  const { port } = new URL(one.url)
  for (const value of values)
    for (const [line, body] of [
      ['GET', ''],
      ['POST', 'body'],
    ] as const)
      for (const query of ['', '?stream']) {
        const socket = connect({ host: '127.0.0.1', port: Number(port) }).setEncoding('latin1')
        socket.write(
          `${line} /echo/${keyOf(two)}/${query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Bytes: ${value}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
          'latin1',
        )
        let text = ''
        for await (const piece of socket) text += String(piece)
        expect([line, query, seen.at(-1)]).toEqual([line, query, value])
        expect(text).toContain(`\r\nx-bytes: ${value}\r\n`)
        expect(text).toContain(`filename="${value}"`)
      }
})

test('the owner’s error is returned unchanged; a body over the limit is 413', async () => {
  const [one, two] = await three({ bodyLimitBytes: 1000 })
  for (const { site, own } of [one, two]) {
    class Failing extends View {
      override get = site.tableRoute(own.words, { param: 'word' }, (c) => c.error(418, 'Teapot.'))
      override put = site.tableRoute(own.words, { param: 'word' }, async (c) => c.text(await c.request.text()))
    }
    site.page('/fail/:word/', Failing)
  }
  const url = `${one.url}/fail/${keyOf(two)}/`
  const answer = await fetch(url)
  expect([answer.status, await answer.json()]).toEqual([418, { error: 'Teapot.' }])
  expect((await fetch(url, { method: 'PUT', body: 'x'.repeat(1001) })).status).toBe(413)
  const pieces = new Blob(['x'.repeat(600), 'y'.repeat(600)]).stream()
  expect((await fetch(url, { method: 'PUT', body: pieces, duplex: 'half' })).status).toBe(413)
  expect((await fetch(url, { method: 'PUT', body: 'fits' })).status).toBe(200)
})

test('an owner that is down gives 503; requests to others succeed', async () => {
  const [one, two, other] = await three()
  const key = keyOf(two)
  await two.stop()
  await expectUnavailable(await fetch(`${one.url}/words/${key}/`), 'cannot be reached')
  await expectUnavailable(await fetch(`${one.url}/table/words/${key}/`), 'cannot be reached')
  expect((await fetch(`${one.url}/words/${keyOf(other)}/`)).status).toBe(200)
})

test('an owner that does not answer gives 503 after web.routeTimeout', async () => {
  const silent = createServer(() => {})
  const address = await listen(silent)
  const group = smallGroup(1)
  const one = await start(group, 'one', [], { routeTimeoutMs: 50 })
  group.owners.set(0, { member: 'silent', address })
  await expectUnavailable(await fetch(`${one.url}/words/x/`), 'does not answer')
  silent.closeAllConnections()
})

test('connections to other workers are reused', async () => {
  let connections = 0
  const other = createServer((_request, response) => void response.end('"value"'))
  other.on('connection', () => (connections += 1))
  const group = smallGroup(1)
  const one = await start(group, 'one', [])
  group.owners.set(0, { member: 'other', address: await listen(other) })
  for (let n = 0; n < 20; n++) expect(await (await fetch(`${one.url}/table/words/k${n}/`)).json()).toBe('value')
  expect(connections).toBe(1)
})

test('an incomplete answer is broken off, not completed', async () => {
  const other = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half', () => response.destroy())
  })
  const group = smallGroup(1)
  const one = await start(group, 'one', [])
  group.owners.set(0, { member: 'other', address: await listen(other) })
  await expect(fetch(`${one.url}/table/words/k/`).then((answer) => answer.text())).rejects.toThrow()
  expect((await fetch(`${one.url}/health/live`)).status).toBe(200)
})

test('a client that disconnects aborts its forwarded request', async () => {
  const asked = deferred<void>()
  const left = deferred<void>()
  const other = createServer((request) => {
    request.socket.once('close', () => left.resolve())
    asked.resolve()
  })
  const group = smallGroup(1)
  const one = await start(group, 'one', [])
  group.owners.set(0, { member: 'other', address: await listen(other) })
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(one.url).port) })
  socket.write('GET /words/x/ HTTP/1.1\r\nHost: a\r\n\r\n')
  await asked.promise
  socket.destroy()
  await left.promise
})
