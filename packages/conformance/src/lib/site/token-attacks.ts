import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../eventually.ts'
import { AttackClient } from './attack-client.ts'
import type { AttackedSite, AttackedSiteOptions } from './attacked-site.ts'

const TOKEN = 'a-long-and-random-token'
const REQUESTS = 20

/** Attacks on a site whose built-in pages require a token, and whose own pages every origin may read. */
export function tokenAttacks(start: (options: AttackedSiteOptions) => Promise<AttackedSite>): void {
  describe('with a token', () => {
    let site: AttackedSite
    let client: AttackClient
    const bearer = (token: string): readonly string[] => [`Authorization: Bearer ${token}`]
    const form = (token: string): Promise<number> =>
      client.status('POST /sign-in/', ['Content-Type: application/x-www-form-urlencoded'], `token=${token}`)
    beforeAll(async () => {
      site = await start({
        pages: [{ path: '/echo/', answer: async () => new Response('echo') }],
        web: { port: 0, host: '127.0.0.1', maxConnections: 200, maxRequests: REQUESTS, token: TOKEN, cors: '*' },
      })
      client = new AttackClient(site.port)
    })
    afterAll(() => site.stop())

    test('web.cors lets other sites read pages of the app, and no built-in one', async () => {
      const origin = 'Origin: http://evil.example'
      const ask = ['Access-Control-Request-Method: GET', 'Access-Control-Request-Headers: authorization']
      for (const path of ['/', '/stats', '/table/', '/jobs/', '/health/live', '/metrics', '/sign-in/'])
        for (const headers of [[origin], [origin, ...bearer(TOKEN)]])
          for (const [method, more] of [
            ['GET', []],
            ['OPTIONS', ask],
          ] as const) {
            const { head } = await client.ask(`${method} ${path}`, [...headers, ...more])
            expect([path, method, /access-control/i.test(head)]).toEqual([path, method, false])
          }
      expect((await client.ask('GET /echo/', [origin])).head).toMatch(/access-control-allow-origin: \*/i)
    })

    test('endless forms keep nobody else from a page', async () => {
      const head = `POST /sign-in/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\ntoken=`
      const slow = Array.from({ length: 5 * REQUESTS }, () => connect({ host: '127.0.0.1', port: site.port }))
      let refused = 0
      for (const socket of slow) {
        socket.on('error', () => {}).on('data', (data) => (refused += String(data).startsWith('HTTP/1.1 429') ? 1 : 0))
        socket.write(head)
      }
      await eventually(() => refused >= 4 * REQUESTS, { what: 'most of the forms to be refused' })
      for (let n = 0; n < 2 * REQUESTS; n++) expect(await client.status('GET /echo/')).toBe(200)
      for (const socket of slow) socket.destroy()
      await eventually(async () => (await client.status('GET /stats', bearer(TOKEN))) === 200, {
        what: 'the places of the forms to be free',
      })
    })

    test('few of many simultaneous guesses are checked, and the right one is not found among them', async () => {
      expect(await client.status('GET /stats', bearer(TOKEN))).toBe(200)
      const statuses = await Promise.all(Array.from({ length: 100 }, (_, n) => form(n === 99 ? TOKEN : `guess${n}`)))
      expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(10)
      expect(statuses.filter((status) => status !== 401 && status !== 429)).toEqual([])
      for (const token of ['another', TOKEN]) expect(await client.status('GET /stats', bearer(token))).toBe(429)
      expect(await client.status('GET /echo/')).toBe(200)
      expect(site.errors).toEqual([])
    })
  })
}
