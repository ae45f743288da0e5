import { expect, test } from 'vitest'
import type { AttackClient } from './attack-client.ts'

/** Each header alone shows that a page of another site has made a browser send the request. */
const FOREIGN = [
  'Origin: null',
  'Origin: file://',
  'Origin: http://evil.example',
  'Origin: http://localhost.evil.example',
  'Sec-Fetch-Site: cross-site',
  'Sec-Fetch-Site: same-site',
]

/**
 * Requests that a foreign page makes a browser of this machine send, and requests under a foreign name: without a
 * token.
 */
export function foreignAttacks(client: () => AttackClient): void {
  test('a foreign name that resolves to the site opens no built-in page, nor does a forwarding header', async () => {
    const known = await client().closedPages('GET')
    expect(known.length).toBeGreaterThan(10)
    const hosts = ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '203.0.113.7', '[2001:db8::7]']
    for (const path of known)
      for (const host of hosts)
        expect([path, host, await client().status(`GET ${path}`, [`Host: ${host}`])]).toEqual([path, host, 403])
    const spoofed = [
      'X-Forwarded-For: 127.0.0.1',
      'Forwarded: for=127.0.0.1;host=localhost',
      'X-Real-IP: 127.0.0.1',
      'Via: 1.1 localhost',
      'millrace-forwarded: true',
      'millrace-forwarded: {"from":"other","as":"token","mayAct":true}',
      'Authorization: Bearer undefined',
      'Cookie: millrace-session=9999999999999.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
      'Origin: http://localhost',
    ]
    for (const header of spoofed)
      expect([header, await client().status('GET /stats', ['Host: evil.example', header])]).toEqual([header, 403])
    expect(await client().status('GET /stats', ['Host: localhost:1', 'X-Forwarded-For: 203.0.113.7'])).toBe(403)
    // An absolute target must match the host.
    expect(await client().status('GET http://evil.example/stats')).toBe(400)
    expect(await client().status('GET http://localhost/stats', ['Host: evil.example'])).toBe(400)
    expect(await client().status('GET http://evil.example/stats', ['Host: evil.example'])).toBe(403)
    expect(await client().status('GET /stats')).toBe(200)
  })

  test('no page of another site can make a browser of this machine read, and pages with data are never cached', async () => {
    for (const path of await client().closedPages('GET')) {
      for (const header of FOREIGN)
        expect([path, header, await client().status(`GET ${path}`, [header])]).toEqual([path, header, 403])
      const { head } = await client().ask(`GET ${path}`)
      expect([path, head]).toEqual([path, expect.stringMatching(/^cache-control: no-(store|cache)\r?$/im)])
      expect([path, head]).toEqual([path, expect.stringMatching(/^x-content-type-options: nosniff\r?$/im)])
    }
  })

  test('no page of another site acts, with a form or without', async () => {
    const actions = (await client().closedPages('POST')).filter((path) => path !== '/sign-in/')
    expect(actions.length).toBeGreaterThan(2)
    const act = 'millrace-action: x'
    const refused: readonly (readonly string[])[] = [
      [],
      ['Content-Type: text/plain'],
      ['Content-Type: application/x-www-form-urlencoded'],
      ['Content-Type: multipart/form-data; boundary=a'],
      ...FOREIGN.map((header) => [act, header]),
      [act, 'Sec-Fetch-Site: none'],
      [act, 'Origin: http://evil.example', 'Host: evil.example'],
      [act, 'Host: evil.example'],
    ]
    for (const path of actions) {
      for (const headers of refused)
        expect([path, headers, await client().status(`POST ${path}`, headers, '{"all":true}')]).toEqual([
          path,
          headers,
          403,
        ])
      const own = await client().status(
        `POST ${path}`,
        [act, 'Origin: http://localhost:6066', 'Sec-Fetch-Site: same-origin'],
        '{}',
      )
      expect([path, own]).not.toEqual([path, 403])
    }
    const cors = await client().ask('OPTIONS /stats', [
      'Origin: http://evil.example',
      'Access-Control-Request-Method: GET',
    ])
    expect(cors.head).not.toMatch(/access-control-allow/i)
  })
}
