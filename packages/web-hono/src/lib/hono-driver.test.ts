import { webSuite } from '@millrace/conformance'
import { systemClock } from '@millrace/core'
import { basicAuth } from 'hono/basic-auth'
import { cors } from 'hono/cors'
import { expect, onTestFinished, test } from 'vitest'
import { honoDriver, type HonoApp } from './hono-driver.ts'

webSuite('hono', honoDriver)
webSuite('hono with middleware', () =>
  honoDriver((hono) =>
    hono.use('*', async (c, next) => {
      await next()
      c.header('x-through', 'hono')
    }),
  ),
)

async function served(
  configure: (hono: HonoApp) => unknown,
): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = []
  const server = await honoDriver(configure).serve({
    fetch: async (request) => {
      asked.push(new URL(request.url).pathname)
      return new Response('from the site', { headers: { 'x-site': 'yes' } })
    },
    address: { host: '127.0.0.1', port: 0 },
    limits: { headerBytes: 16_384, idleMs: 30_000, connections: 1000 },
    clock: systemClock(),
    onError: (error) => {
      throw error
    },
  })
  onTestFinished(() => server.close(1000))
  return { url: `http://127.0.0.1:${server.port}`, asked }
}

test("hono's basic auth guards only the pages that it covers", async () => {
  const { url, asked } = await served((hono) => hono.use('/orders/*', basicAuth({ username: 'ann', password: 'pw' })))
  const refused = await fetch(`${url}/orders/7/`)
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('Basic')])
  expect(asked).toEqual([])
  const authorization = `Basic ${btoa('ann:pw')}`
  const answer = await fetch(`${url}/orders/7/`, { headers: { authorization } })
  expect([answer.status, await answer.text()]).toEqual([200, 'from the site'])
  expect((await fetch(`${url}/health/live`)).status).toBe(200)
  expect(asked).toEqual(['/orders/7/', '/health/live'])
})

test("hono's CORS adds headers to the site's answers, and answers preflights itself", async () => {
  const { url, asked } = await served((hono) => hono.use('*', cors({ origin: 'https://shop.example' })))
  const headers = { origin: 'https://shop.example' }
  const answer = await fetch(`${url}/count/`, { headers })
  expect(await answer.text()).toBe('from the site')
  expect([answer.headers.get('access-control-allow-origin'), answer.headers.get('x-site')]).toEqual([
    'https://shop.example',
    'yes',
  ])
  const preflight = await fetch(`${url}/count/`, {
    method: 'OPTIONS',
    headers: { ...headers, 'access-control-request-method': 'POST' },
  })
  expect([preflight.status, preflight.headers.get('access-control-allow-methods')]).toEqual([
    204,
    expect.stringContaining('POST'),
  ])
  expect(asked).toEqual(['/count/'])
})

test("hono's routes take precedence over the site's", async () => {
  const { url, asked } = await served((hono) => hono.get('/hello', (c) => c.text('from hono')))
  expect(await (await fetch(`${url}/hello`)).text()).toBe('from hono')
  expect(asked).toEqual([])
})
