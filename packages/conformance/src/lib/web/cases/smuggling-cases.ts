import type { WebDriver } from '@millrace/core/http'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openWorld, type WebWorld } from '../web-world.ts'

/** Requests that a proxy may parse as one and the server as two, or the reverse. */
const AMBIGUOUS: readonly (readonly [what: string, headers: string, body: string])[] = [
  ['a length and chunks', 'Content-Length: 6\r\nTransfer-Encoding: chunked', '0\r\n\r\n'],
  ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 4', '0\r\n\r\n'],
  ['chunks twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', '0\r\n\r\n'],
  ['a coding that is none', 'Transfer-Encoding: xchunked', '0\r\n\r\n'],
  ['a coding after chunks', 'Transfer-Encoding: chunked, identity', '0\r\n\r\n'],
  ['a name with a space', 'Transfer-Encoding : chunked', '0\r\n\r\n'],
  ['a vertical tab in the coding', 'Transfer-Encoding: \x0bchunked', '0\r\n\r\n'],
  ['a folded header', 'Transfer-Encoding:\r\n chunked', '0\r\n\r\n'],
  ['a folded length', 'Content-Length: 0\r\n 5', ''],
  ['two lengths', 'Content-Length: 0\r\nContent-Length: 44', ''],
  ['the same length twice', 'Content-Length: 5\r\nContent-Length: 5', 'abcde'],
  ['a list of lengths', 'Content-Length: 5, 5', 'abcde'],
  ['a length with a sign', 'Content-Length: +5', 'abcde'],
  ['a negative length', 'Content-Length: -1', ''],
  ['a length in hex', 'Content-Length: 0x5', 'abcde'],
  ['a length with a space in it', 'Content-Length: 4 4', 'abcd'],
  ['a length that is far too large', 'Content-Length: 99999999999999999999999', ''],
  ['a bare line feed after a header', 'X: a\nContent-Length: 0', ''],
  ['a bare carriage return in a header', 'X: a\rContent-Length: 44', ''],
  ['a NUL in a header', 'X: a\0b', ''],
  ['a chunk size with a prefix', 'Transfer-Encoding: chunked', '0x1\r\na\r\n0\r\n\r\n'],
  ['a chunk size with a sign', 'Transfer-Encoding: chunked', '+1\r\na\r\n0\r\n\r\n'],
  ['a chunk size that overflows', 'Transfer-Encoding: chunked', 'fffffffffffffffff1\r\na\r\n0\r\n\r\n'],
  ['a bare line feed after a chunk size', 'Transfer-Encoding: chunked', '1\na\r\n0\r\n\r\n'],
  ['a chunk that is longer than it says', 'Transfer-Encoding: chunked', '1\r\nabc\r\n0\r\n\r\n'],
  ['an endless chunk extension', 'Transfer-Encoding: chunked', `1;${'x'.repeat(20_000)}\r\na\r\n0\r\n\r\n`],
  ['a line feed in a chunk extension', 'Transfer-Encoding: chunked', '1;a\nb\r\na\r\n0\r\n\r\n'],
]

const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n'

/** Requests whose end is ambiguous. */
export function smugglingCases(createDriver: () => WebDriver): void {
  let world: WebWorld
  let seen: string[] = []
  beforeAll(async () => {
    world = await openWorld({
      driver: createDriver(),
      fetch: async (request) => {
        seen.push(`${request.method} ${new URL(request.url).pathname}`)
        const body = await request.text().catch(() => 'broken')
        return new Response(`read ${body.length}`)
      },
    })
  })
  afterAll(() => world.close())
  beforeEach(() => void (seen = []))

  test.each(AMBIGUOUS)(
    '%s: 4xx, the connection ends, and the following bytes are no request',
    async (_what, headers, body) => {
      const client = await world.socket()
      client.write(`POST /first HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n${body}${HIDDEN}`)
      const text = await client.ended()
      // If only the body is wrong, its request has begun: there may be an answer already, or none.
      expect(text).toMatch(/^(HTTP\/1\.1 (4\d\d|200) |$)/)
      expect(text.match(/HTTP\/1\.1 /g)?.length ?? 0).toBeLessThan(3)
      expect(seen.filter((each) => each !== 'POST /first')).toEqual([])
      if (!headers.endsWith('chunked') || headers.includes('Content-Length')) expect(seen).toEqual([])
    },
  )

  test.each([
    ['GET', 'Content-Length'],
    ['HEAD', 'Content-Length'],
    ['DELETE', 'Content-Length'],
    ['GET', 'Transfer-Encoding'],
    ['OPTIONS', 'Transfer-Encoding'],
  ])('the body of %s with %s is never taken for a request', async (method, header) => {
    const client = await world.socket()
    const [field, body] =
      header === 'Content-Length'
        ? [HIDDEN.length, HIDDEN]
        : ['chunked', `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`]
    client.write(`${method} /first HTTP/1.1\r\nHost: a\r\n${header}: ${field}\r\n\r\n${body}`)
    client.write('GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await client.ended()
    expect(seen[0]).toBe(`${method} /first`)
    expect(seen.filter((each) => each.endsWith('/hidden'))).toEqual([])
  })

  test('bytes sent before an upgrade or a tunnel is granted are no request', async () => {
    for (const start of [
      'GET /first HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
      'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n',
    ]) {
      const client = await world.socket()
      client.write(start + HIDDEN)
      expect(await client.ended()).not.toContain('101 Switching')
    }
    expect(seen.filter((each) => each.endsWith('/hidden'))).toEqual([])
  })
}
