import { expect, test } from 'vitest'
import { smallSite, type SmallSite } from '../fixtures/small-site.fixture.ts'
import { jobNamed } from '../fixtures/small-worker.fixture.ts'

// The requests that other sites' pages can make this machine's browser send, and the answers that they can read.

const BUILT_IN = ['/', '/stats', '/table/', '/jobs/', '/graph/', '/assignment/', '/router/', '/health/live', '/metrics']
const OPEN = ['/health/live', '/metrics']

type Headers = Readonly<Record<string, string>>

const ask = (
  { site, worker }: SmallSite,
  path: string,
  { method = 'GET', headers = {} }: { readonly method?: string; readonly headers?: Headers } = {},
): Promise<Response> =>
  site.handle(new Request(`http://localhost:6066${path}`, { method, headers }), worker, '127.0.0.1')

test.each(['*', 'https://a.example', 'http://localhost:3000'])(
  'web.cors %s opens pages of the app but no built-in page, whatever its answer',
  async (cors) => {
    const small = smallSite({ settings: { cors } })
    small.site.page('/mine/', (c) => c.text('mine'))
    const origin = cors === '*' ? 'https://a.example' : cors
    const preflight = { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'x' }
    const named = (response: Response): readonly string[] =>
      [...response.headers.keys()].filter((name) => name.startsWith('access-control-'))
    for (const path of [...BUILT_IN, '/table/none/', '/table/none/key/', '/sign-in/'])
      for (const [method, headers] of [
        ['GET', { origin }],
        ['GET', { origin, 'sec-fetch-site': 'same-origin' }],
        ['OPTIONS', preflight],
        ['DELETE', { origin }],
      ] as const)
        expect([path, method, named(await ask(small, path, { method, headers }))]).toEqual([path, method, []])
    expect((await ask(small, '/mine/', { headers: { origin } })).headers.get('access-control-allow-origin')).toBe(cors)
    expect(named(await ask(small, '/mine/', { method: 'OPTIONS', headers: preflight })).length).toBeGreaterThan(2)
    // A page of the app that replaces a built-in page counts as the app's.
    small.site.page('/', (c) => c.text('mine'))
    expect((await ask(small, '/', { headers: { origin } })).headers.get('access-control-allow-origin')).toBe(cors)
  },
)

test('no page of another site can read through a browser on this machine', async () => {
  const small = smallSite()
  const foreign: readonly Headers[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'file://' },
    { origin: 'chrome-extension://abc' },
    { origin: 'http://localhost.evil.example:6066' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', origin: 'null' },
    { 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' },
  ]
  const own: readonly Headers[] = [
    {},
    { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' },
    { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:6066' },
    // The address was typed, or a link on another site was followed.
    { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
  ]
  for (const path of BUILT_IN) {
    const refused = OPEN.includes(path) ? 200 : 403
    for (const headers of foreign)
      expect([path, headers, (await ask(small, path, { headers })).status]).toEqual([path, headers, refused])
    for (const headers of own)
      expect([path, headers, (await ask(small, path, { headers })).status]).toEqual([path, headers, 200])
  }
})

test('a file: page has no host name and may not act, even on this machine', async () => {
  for (const hosts of [undefined, '', 'app.example, ', ',']) {
    const small = smallSite({ settings: { hosts } })
    small.worker.listed = [jobNamed('nightly')]
    for (const origin of ['file://', 'data:', 'about:', 'chrome-extension://x', 'ftp://localhost'])
      expect([
        origin,
        (await ask(small, '/jobs/nightly/run/', { method: 'POST', headers: { 'millrace-action': 'x', origin } }))
          .status,
      ]).toEqual([origin, 403])
    expect(small.worker.asked).toEqual([])
  }
})

test('answers of built-in pages are never cached nor taken for another content type', async () => {
  const small = smallSite({ settings: { token: 'token' } })
  const bearer = { authorization: 'Bearer token' }
  for (const path of [...BUILT_IN, '/table/none/', '/sign-in/'])
    for (const headers of [{}, bearer] as const) {
      const answer = await ask(small, path, { headers })
      expect([path, answer.headers.get('cache-control'), answer.headers.get('x-content-type-options')]).toEqual([
        path,
        'no-store',
        'nosniff',
      ])
    }
  small.site.page('/mine/', (c) => c.text('mine', { headers: { 'cache-control': 'max-age=60' } }))
  const mine = await ask(small, '/mine/')
  expect([mine.headers.get('cache-control'), mine.headers.has('x-content-type-options')]).toEqual(['max-age=60', false])
})
