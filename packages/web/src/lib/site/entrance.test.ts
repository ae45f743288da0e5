import { deferred, manualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { smallSite, type SmallSite } from '../fixtures/small-site.fixture.ts'

const REFUSED = 'Requests are refused: too many are in flight (web.maxRequests).'

async function full(): Promise<{
  readonly small: SmallSite
  readonly clock: ReturnType<typeof manualClock>
  readonly asked: readonly Promise<Response>[]
  readonly go: () => void
}> {
  const clock = manualClock()
  const small = smallSite({ clock, settings: { maxRequests: 2 } })
  const wait = deferred<void>()
  let begun = 0
  small.site.page('/slow/', async (c) => {
    begun++
    await wait.promise
    return c.text('done')
  })
  small.site.page('/failing/', () => Promise.reject(new Error('no')))
  const asked = [small.get('/slow/'), small.get('/slow/')]
  await expect.poll(() => begun).toBe(2)
  return { small, clock, asked, go: wait.resolve }
}

test('a request over the limit gets 503 with Retry-After; health and metrics still answer', async () => {
  const { small, asked, go } = await full()
  const refused = await small.get('/slow/', { method: 'GET' })
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
  expect(await refused.json()).toEqual({ error: '2 requests are in flight already (web.maxRequests).' })
  expect((await small.get('/stats')).status).toBe(503)
  for (const path of ['/health/live', '/health/ready', '/metrics']) expect((await small.get(path)).status).toBe(200)
  expect((await small.get('/nowhere/')).status).toBe(404)
  go()
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200])
  // Failed and otherwise refused requests stop counting when they end.
  for (const path of ['/failing/', '/failing/', '/failing/']) expect((await small.get(path)).status).toBe(500)
  expect((await small.get('/slow/', { method: 'DELETE' })).status).toBe(405)
  expect((await small.get('/slow/')).status).toBe(200)
})

test('logs refused requests once in ten seconds, with their number', async () => {
  const { small, clock, go, asked } = await full()
  const lines = (): readonly object[] =>
    small.logged.filter(({ message }) => message === REFUSED).map(({ fields }) => fields)
  for (let n = 0; n < 50; n++) await small.get('/slow/')
  expect(lines()).toEqual([{ refused: 1, inFlight: 2 }])
  await clock.advance(10_000)
  await small.get('/slow/')
  expect(lines()).toEqual([
    { refused: 1, inFlight: 2 },
    { refused: 50, inFlight: 2 },
  ])
  expect(small.logged.filter(({ level, message }) => level !== 'debug' && message !== REFUSED)).toEqual([])
  go()
  await Promise.all(asked)
})

test('each listener limits its own requests', async () => {
  const { small, go, asked } = await full()
  const { site, worker } = small
  const request = new Request('http://localhost/stats')
  expect((await site.handle(request, worker, '127.0.0.1')).status).toBe(503)
  expect((await site.handle(request, worker, '127.0.0.1', site.entrance())).status).toBe(200)
  go()
  await Promise.all(asked)
})
