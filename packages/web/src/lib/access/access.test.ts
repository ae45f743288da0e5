import { networkInterfaces } from 'node:os'
import { jobNamed } from '../fixtures/small-worker.fixture.ts'
import { expect, it } from 'vitest'
import { smallSite, type SmallSite } from '../fixtures/small-site.fixture.ts'

interface Asking {
  readonly host?: string
  readonly peer?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly path?: string
  readonly method?: string
}

async function ask(
  small: SmallSite,
  {
    host = 'localhost:6066',
    peer = '127.0.0.1',
    headers = {},
    path = '/jobs/nightly/run/',
    method = 'POST',
  }: Asking = {},
): Promise<number> {
  small.worker.listed = [jobNamed('nightly')]
  const request = new Request(`http://${host}${path}`, { method, headers: { 'millrace-action': 'test', ...headers } })
  return (await small.site.handle(request, small.worker, peer)).status
}

it('lets programs and its own page on this machine act, with the embedded broker', async () => {
  const small = smallSite({ broker: 'embedded:./.millrace' })
  expect(await ask(small)).toBe(200)
  expect(await ask(small, { peer: '::ffff:127.0.0.1', host: '127.0.0.1:6066', path: '/jobs/nightly/pause/' })).toBe(200)
  expect(
    await ask(small, {
      path: '/jobs/nightly/resume/',
      headers: { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:6066' },
    }),
  ).toBe(200)
  expect(small.worker.asked).toEqual(['run nightly', 'pause nightly', 'resume nightly'])
  expect(await ask(small, { path: '/jobs/daily/run/' })).toBe(404)
  expect(await ask(small, { method: 'GET' })).toBe(405)
})

it('takes the addresses of this machine for this machine: another worker on it passes on what was asked there', async () => {
  const small = smallSite({ broker: 'embedded:' })
  const own = Object.values(networkInterfaces()).flatMap((each) => each?.map(({ address }) => address) ?? [])
  for (const peer of own) expect(await ask(small, { peer })).toBe(200)
  for (const peer of own) expect(await ask(small, { peer, host: 'evil.example' })).toBe(403)
})

it('lets nobody else, and no other site, whatever is set', async () => {
  const local = smallSite({ broker: 'embedded:' })
  expect(await ask(local, { peer: '192.0.2.7' })).toBe(403)
  expect(await ask(local, { host: 'evil.example' })).toBe(403)
  expect(await ask(local, { headers: { 'x-forwarded-for': '192.0.2.7' } })).toBe(403)
  expect(await ask(smallSite({ broker: 'kafka://localhost:9092' }))).toBe(403)
  expect(await ask(smallSite({ broker: 'embedded:', settings: { admin: false } }))).toBe(403)
  const open = smallSite({ broker: 'kafka://localhost:9092', settings: { admin: true } })
  expect(await ask(open, { peer: '192.0.2.7', host: 'app.example' })).toBe(200)
  expect(await ask(open, { headers: { origin: 'https://evil.example' } })).toBe(403)
  expect(await ask(open, { headers: { origin: 'null' } })).toBe(403)
  expect(await ask(open, { headers: { 'sec-fetch-site': 'cross-site' } })).toBe(403)
  expect(await ask(open, { headers: { 'sec-fetch-site': 'same-site' } })).toBe(403)
  const bare = new Request('http://app.example/jobs/nightly/run/', { method: 'POST' })
  expect((await open.site.handle(bare, open.worker, '192.0.2.7')).status).toBe(403)
  for (const each of [local, open]) expect(each.worker.asked.length).toBe(each === open ? 1 : 0)
})

it('tells the page whether actions are on, and why not', async () => {
  const small = smallSite({ broker: 'kafka://localhost:9092' })
  const answer: unknown = await (await small.get('/')).json()
  expect(answer).toMatchObject({ admin: { on: false, reason: expect.stringContaining('web.admin') } })
})
