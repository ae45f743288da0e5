import { connect } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { deferred } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../eventually.ts'
import { AttackClient, INSIDE } from './attack-client.ts'
import type { AttackedPage, AttackedSite, AttackedSiteOptions } from './attacked-site.ts'
import { foreignAttacks } from './foreign-attacks.ts'
import { mutatedRequests } from './mutated-requests.ts'
import { tokenAttacks } from './token-attacks.ts'
import { exchange } from './raw-exchange.ts'

const CONNECTIONS = 60
const REQUESTS = 20
const BODY_BYTES = 100_000
/** The number of requests for the property, and in one of its runs. */
const MUTATED = 10_000
const IN_RUN = { inRow: 48, alone: 2 }
/**
 * The most heap for all of them, including the clients and sockets in this process: a leak of three thousand bytes a
 * request would show.
 */
const MOST_HEAP_BYTES = 32 * 1024 * 1024

/**
 * What an attacker may do who reaches the port of a whole site, including its built-in pages, without any rights: over
 * real sockets, on any driver. The site's names are localhost and 127.0.0.1, and it has a token only if the options say
 * so.
 *
 * @example
 * attackSuite('hono', ({ pages, web }) => startMySite(pages, { ...web, driver: honoDriver }))
 */
export function attackSuite(name: string, start: (options: AttackedSiteOptions) => Promise<AttackedSite>): void {
  describe(`attacks: ${name}`, () => {
    let site: AttackedSite
    let client: AttackClient
    let waiting = 0
    let go = deferred<void>()
    const pages: readonly AttackedPage[] = [
      { path: '/echo/', answer: async (request) => new Response(String((await request.arrayBuffer()).byteLength)) },
      {
        path: '/json/',
        answer: async (request) => Response.json(request.method === 'GET' || typeof (await request.json())),
      },
      {
        path: '/form/',
        answer: async (request) =>
          Response.json(request.method === 'GET' || [...(await request.formData()).keys()].length),
      },
      {
        path: '/wait/',
        answer: async () => {
          waiting++
          await go.promise
          return new Response('waited')
        },
      },
    ]
    beforeAll(async () => {
      site = await start({
        pages,
        web: { port: 0, host: '127.0.0.1', maxConnections: CONNECTIONS, maxRequests: REQUESTS, bodyLimit: BODY_BYTES },
      })
      client = new AttackClient(site.port)
    })
    afterAll(() => site.stop())

    const lives = async (): Promise<void> => expect(await client.status('GET /health/live')).toBe(200)

    foreignAttacks(() => client)

    test('no path bypasses a guard that allows only a part of the site', async () => {
      const around = ['/echo/../stats', '/echo/%2e%2e/stats', '/echo/.%2e/stats', '/echo//../stats', '/echo/%2E./stats']
      for (const path of around) expect([path, await client.status(`GET ${path}`)]).toEqual([path, 400])
      const none = [
        '//stats',
        '/stats%00',
        '/stats;a=b',
        '/STATS',
        '/echo/..%2fstats',
        '/echo/..%5cstats',
        '/echo/..;/stats',
        '/%2fstats',
        '/stats%2f',
        '/echo/%252e%252e/stats',
        '/dashboard/..%2f..%2fpackage.json',
        '/dashboard/%2fetc%2fpasswd',
        '/dashboard/__proto__',
      ]
      for (const path of none) expect([path, await client.status(`GET ${path}`)]).toEqual([path, 404])
      for (const path of ['/%ff', '/%c0%ae%c0%ae/stats', '/%e0%80%af', '/stats?a=%ff', '/%', '/a\\..\\stats'])
        expect([path, await client.status(`GET ${path}`)]).toEqual([path, 400])
    })

    test('oversized bodies, queries and headers are refused, and compressed ones are not unpacked', async () => {
      const bomb = gzipSync(Buffer.alloc(20_000_000)).toString('latin1')
      expect((await client.ask('POST /echo/', ['Content-Encoding: gzip'], bomb)).body).toContain(String(bomb.length))
      const long = 'x'.repeat(BODY_BYTES + 1)
      expect(await client.status('POST /echo/', [], long)).toBe(413)
      const chunk = `${long.length.toString(16)}\r\n${long}\r\n0\r\n\r\n`
      const [chunked] = await exchange(
        site.port,
        `POST /echo/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
      )
      expect(chunked?.status).toBe(413)
      for (const deep of ['['.repeat(BODY_BYTES - 1), '{"a":'.repeat(BODY_BYTES / 5 - 1)])
        expect(await client.status('POST /json/', ['Content-Type: application/json'], deep)).toBe(400)
      const half = (BODY_BYTES - 2) / 2
      expect(await client.status('POST /json/', [], `${'['.repeat(half)}${']'.repeat(half)}`)).toBeLessThan(500)
      for (const type of [
        'multipart/form-data; boundary=a',
        'multipart/form-data',
        'text/plain',
        'multipart/form-data; boundary=',
      ])
        expect(await client.status('POST /form/', [`Content-Type: ${type}`], '--a\r\n'.repeat(10_000))).toBe(400)
      const fields = Array.from({ length: 15_000 }, (_, n) => `f${n}`).join('&')
      expect(await client.status('POST /form/', ['Content-Type: application/x-www-form-urlencoded'], fields)).toBe(200)
      expect(await client.status(`GET /router/?${'a=b&'.repeat(3_500)}`)).toBe(200)
      expect(await client.status(`GET /${'a/'.repeat(7_000)}`)).toBe(404)
      expect(await client.status(`GET /${'a'.repeat(17_000)}`)).toBe(431)
      expect(
        await client.status(
          'GET /stats',
          Array.from({ length: 300 }, (_, n) => `x${n}: y`),
        ),
      ).toBe(431)
      await lives()
    })

    test('floods of connections and requests are refused in part, and health answers throughout', async () => {
      go = deferred()
      waiting = 0
      const idle = Array.from({ length: 2 * CONNECTIONS }, () => connect({ host: '127.0.0.1', port: site.port }))
      for (const socket of idle) socket.on('error', () => {}).write('GET /wa')
      await lives()
      const asked = Array.from({ length: REQUESTS }, () => fetch(`http://127.0.0.1:${site.port}/wait/`))
      await eventually(() => waiting === REQUESTS, { what: 'requests in flight' })
      const more = await Promise.all(Array.from({ length: 20 }, () => client.ask('GET /wait/')))
      for (const { status, head } of more) expect([status, /^retry-after: \d+$/im.test(head)]).toEqual([503, true])
      for (const path of ['/health/live', '/health/ready', '/metrics'])
        expect(await client.status(`GET ${path}`)).toBe(200)
      // Thousands of requests on one connection at once: the server closes it sooner or later.
      await exchange(site.port, 'GET /wait/ HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(3_000))
      await lives()
      go.resolve()
      for (const { status } of await Promise.all(asked)) expect(status).toBe(200)
      for (const socket of idle) socket.destroy()
      expect(waiting).toBe(REQUESTS)
    })

    tokenAttacks(start)

    test('none of 10,000 mutated requests causes an error of the server, shows its internals, or changes it', async () => {
      const targets = [
        'GET /echo/',
        'POST /echo/',
        'POST /json/',
        'POST /form/',
        'GET /stats',
        'GET /health/ready',
        'GET /assignment/',
        'GET /table/none/key/',
        'POST /jobs/none/run/',
        'GET /sign-in/',
        'POST /sign-in/',
        'GET /dead-letters/none/0/0/',
        'POST /dead-letters/none/replay/',
        'GET /topics/none/records/?last=5',
        'POST /topics/none/send/',
        'GET /dashboard/page.js',
        'GET /nowhere/',
      ]
      let [sent, answered] = [0, 0]
      const statuses = new Set<number>()
      const heapBefore = await heapUsed()
      const judged = async (requests: readonly string[], end: string): Promise<number> => {
        const answers = await exchange(site.port, requests.join('') + end)
        for (const [at, { status, head, body }] of answers.entries()) {
          const isDeliberate = status < 500 || (status === 503 && /^retry-after:/im.test(head))
          if (!isDeliberate || INSIDE.test(body))
            throw new Error(
              `${JSON.stringify(requests[at]?.slice(0, 1_000))} was answered with ${head}\n\n${site.errors.at(-1) ?? 'Nothing is in the log.'}\n\n${body.slice(0, 1_000)}`,
            )
          statuses.add(status)
        }
        return answers.length
      }
      await fc.assert(
        fc.asyncProperty(mutatedRequests(targets, IN_RUN), async ({ inRow, alone }) => {
          for (let rest = inRow; rest.length > 0;) {
            // A request that ends the connection takes the following ones with it, so they are repeated.
            const done = Math.min(await judged(rest, CLOSE), rest.length)
            answered += done
            rest = rest.slice(Math.max(1, done))
          }
          for (const each of alone) await judged([each], LAST)
          sent += inRow.length + alone.length
        }),
        { numRuns: Math.ceil(MUTATED / (IN_RUN.inRow + IN_RUN.alone)), endOnFailure: true },
      )
      expect(sent).toBeGreaterThanOrEqual(MUTATED)
      expect(answered).toBeGreaterThan(0.9 * sent)
      expect(site.errors).toEqual([])
      expect([...statuses]).toEqual(expect.arrayContaining([200, 400, 403, 404, 405, 431]))
      await lives()
      expect((await heapUsed()) - heapBefore).toBeLessThan(MOST_HEAP_BYTES)
    })
  })
}

const CLOSE = 'GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
/** Follows a request that may wait for more, or be parsed as several: it is invalid, and ends the connection. */
const LAST = `\r\n\r\n${CLOSE}${'\0'.repeat(12_000)}`

/** The memory still in use. Node releases requests with a body in later turns, after the first collection. */
async function heapUsed(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  for (let round = 0; round < 3; round++) {
    if (typeof collect === 'function') collect()
    await nextTurn()
  }
  return process.memoryUsage().heapUsed
}
