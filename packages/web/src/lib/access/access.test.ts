import { networkInterfaces } from 'node:os'
import { manualClock } from '@millrace/core'
import { expect, it } from 'vitest'
import { smallSite, type SmallSite } from '../fixtures/small-site.fixture.ts'
import { jobNamed } from '../fixtures/small-worker.fixture.ts'

const TOKEN = 'a-long-and-random-token'
const KAFKA = 'kafka://localhost:9092'
const HTML = { accept: 'text/html,*/*' }
const bearer = { authorization: `Bearer ${TOKEN}` }

interface Asking {
  readonly host?: string
  readonly peer?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
  readonly body?: string
}

function ask(small: SmallSite, path: string, asking: Asking = {}): Promise<Response> {
  const { host = 'localhost:6066', headers = {}, method = 'GET', body } = asking
  const peer = 'peer' in asking ? asking.peer : '127.0.0.1'
  const request = new Request(`http://${host}${path}`, { method, headers, ...(body === undefined ? {} : { body }) })
  return small.site.handle(request, small.worker, peer)
}

const status = async (small: SmallSite, path: string, asking?: Asking): Promise<number> =>
  (await ask(small, path, asking)).status

const act = async (small: SmallSite, asking: Asking = {}, path = '/jobs/nightly/run/'): Promise<number> => {
  small.worker.listed = [jobNamed('nightly')]
  return status(small, path, { method: 'POST', ...asking, headers: { 'millrace-action': 'test', ...asking.headers } })
}

const ownAddresses = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((each) => each?.map(({ address }) => address) ?? [])

const DATA = ['/', '/stats', '/table/', '/jobs/', '/graph/', '/assignment/', '/router/']

it.each(['embedded:', KAFKA])('without a token, pages with data answer this machine only (%s)', async (broker) => {
  const small = smallSite({ broker })
  for (const path of DATA) {
    expect([path, await status(small, path)]).toEqual([path, 200])
    for (const asking of [
      { peer: '203.0.113.7' },
      { peer: undefined },
      // A page elsewhere whose name resolves to this machine.
      { host: 'evil.example' },
      { host: '203.0.113.7' },
      // A proxy on this machine.
      { headers: { 'x-forwarded-for': '203.0.113.7' } },
      { headers: { forwarded: 'for=203.0.113.7' } },
      { headers: { 'x-real-ip': '203.0.113.7' } },
      { headers: { 'x-forwarded-host': 'app.example' } },
      { headers: { via: '1.1 proxy' } },
      // No token, whatever the header says.
      { peer: '203.0.113.7', headers: { authorization: 'Bearer undefined' } },
      { peer: '203.0.113.7', headers: { 'millrace-forwarded': 'true' } },
    ])
      expect([path, asking, await status(small, path, asking)]).toEqual([path, asking, 403])
  }
  expect(await (await ask(small, '/stats', { peer: '203.0.113.7' })).json()).toEqual({
    error: expect.stringContaining('MILLRACE_WEB_TOKEN'),
  })
})

it('treats this machine’s external addresses as local, so another worker on it can forward requests', async () => {
  const small = smallSite({ broker: KAFKA })
  for (const peer of ownAddresses()) {
    expect(await status(small, '/stats', { peer })).toBe(200)
    expect(await status(small, '/stats', { peer, host: peer.includes(':') ? `[${peer.split('%')[0]}]` : peer })).toBe(
      200,
    )
    expect(await status(small, '/stats', { peer, host: 'evil.example' })).toBe(403)
  }
})

it('pages of the app, health and metrics are open; metrics only if the settings allow it', async () => {
  const small = smallSite({ broker: KAFKA, settings: { token: TOKEN } })
  small.site.page('/mine/', (c) => c.text('mine'))
  const elsewhere = { peer: '203.0.113.7', host: 'app.example' }
  for (const path of ['/mine/', '/health/live', '/metrics'])
    expect([path, await status(small, path, elsewhere)]).toEqual([path, 200])
  const closed = smallSite({ broker: KAFKA, settings: { token: TOKEN, openMetrics: false } })
  expect(await status(closed, '/metrics', elsewhere)).toBe(401)
  expect(await status(closed, '/metrics', { ...elsewhere, headers: bearer })).toBe(200)
})

it('with a token, every caller needs it, even on this machine', async () => {
  const small = smallSite({ broker: KAFKA, settings: { token: TOKEN } })
  const refused = await ask(small, '/stats')
  expect(refused.status).toBe(401)
  expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer /)
  expect(await refused.text()).not.toContain(TOKEN)
  expect(await status(small, '/stats', { peer: '203.0.113.7', host: 'app.example', headers: bearer })).toBe(200)
  for (const authorization of [`Bearer ${TOKEN}x`, 'Bearer ', `Basic ${TOKEN}`, TOKEN, 'Bearer undefined'])
    expect(await status(small, '/stats', { headers: { authorization } })).toBe(401)
})

it('hides the built-in pages if they are switched off, except health and metrics', async () => {
  const small = smallSite({ settings: { builtIn: false } })
  for (const path of DATA) expect([path, await status(small, path)]).toEqual([path, 404])
  expect(await act(small)).toBe(404)
  expect(await status(small, '/health/live')).toBe(200)
  expect(await status(small, '/metrics')).toBe(200)
})

it('a browser signs in with the token and returns to its page', async () => {
  const clock = manualClock()
  const small = smallSite({ broker: KAFKA, settings: { token: TOKEN }, clock })
  const form = await ask(small, '/stats?of="app"', { headers: HTML })
  expect(form.status).toBe(401)
  const html = await form.text()
  expect(html).toContain('<form method="post" action="/sign-in/">')
  expect(html).toContain('value="/stats?of=%22app%22"')
  expect(form.headers.get('content-security-policy')).toContain("default-src 'none'")
  const signIn = (body: string, headers = {}): Promise<Response> =>
    ask(small, '/sign-in/', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    })
  const wrong = await signIn('token=guess&next=/stats')
  expect(wrong.status).toBe(401)
  expect(wrong.headers.get('set-cookie')).toBeNull()
  const right = await signIn(`token=${TOKEN}&next=/stats`)
  expect([right.status, right.headers.get('location')]).toEqual([303, '/stats'])
  const cookie = right.headers.get('set-cookie') ?? ''
  expect(cookie).toMatch(/^millrace-session=\S+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/)
  expect(cookie).not.toContain(TOKEN)
  const session = cookie.split(';')[0] ?? ''
  expect(await status(small, '/stats', { headers: { cookie: `a=b; ${session}` } })).toBe(200)
  for (const bad of [session.slice(0, -1), `${session}0`, session.replace(/=\d/, '=9'), 'millrace-session=1.x', ''])
    expect([bad, await status(small, '/stats', { headers: { cookie: bad } })]).toEqual([bad, 401])
  await clock.advance(12 * 3_600_000)
  expect(await status(small, '/stats', { headers: { cookie: session } })).toBe(401)
  const secure = await signIn(`token=${TOKEN}`, { 'x-forwarded-proto': 'https' })
  expect(secure.headers.get('set-cookie')).toContain('; Secure')
  // The session is valid for this token only.
  const other = smallSite({ broker: KAFKA, settings: { token: 'another' } })
  expect(await status(other, '/stats', { headers: { cookie: session } })).toBe(401)
})

it.each(['//evil.example/', '/\\\\evil.example', 'https://evil.example/', 'javascript:alert(1)', '/a\nb', ''])(
  'signing in never redirects to another site: %j',
  async (next) => {
    const small = smallSite({ settings: { token: TOKEN } })
    const body = new URLSearchParams({ token: TOKEN, next }).toString()
    const answer = await ask(small, '/sign-in/', { method: 'POST', body })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/'])
    const form = await (await ask(small, `/sign-in/?${new URLSearchParams({ next }).toString()}`)).text()
    expect(form).toContain('name="next" type="hidden" value="/"')
  },
)

it('accepts ten wrong tokens a minute from an address', async () => {
  const clock = manualClock()
  const small = smallSite({ settings: { token: TOKEN }, clock })
  const guess = (token: string, peer = '203.0.113.7'): Promise<number> =>
    status(small, '/sign-in/', { method: 'POST', body: `token=${token}`, peer })
  for (let i = 0; i < 10; i++) expect(await guess(`guess${i}`)).toBe(401)
  expect(await guess(TOKEN)).toBe(429)
  // Other addresses are not locked out.
  expect(await guess(TOKEN, '203.0.113.8')).toBe(303)
  // Callers with the bearer token are not locked out.
  expect(await status(small, '/stats', { headers: bearer })).toBe(200)
  await clock.advance(61_000)
  expect(await guess(TOKEN)).toBe(303)
  expect(small.logged.filter(({ message }) => message.includes('wrong token'))).toHaveLength(10)
  expect(JSON.stringify(small.logged)).not.toContain('guess')
})

it('lets every admitted caller act: this machine without a token, token holders with one', async () => {
  for (const broker of ['embedded:./.millrace', KAFKA]) {
    const small = smallSite({ broker })
    expect(await act(small)).toBe(200)
    expect(await act(small, { peer: '::ffff:127.0.0.1', host: '127.0.0.1:6066' }, '/jobs/nightly/pause/')).toBe(200)
    const page = { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:6066' }
    expect(await act(small, { headers: page }, '/jobs/nightly/resume/')).toBe(200)
    expect(small.worker.asked).toEqual(['run nightly', 'pause nightly', 'resume nightly'])
    expect(await act(small, {}, '/jobs/daily/run/')).toBe(404)
    expect(await act(small, { method: 'GET' })).toBe(405)
    expect(await act(small, { peer: '203.0.113.7' })).toBe(403)
    expect(small.worker.asked).toHaveLength(3)
  }
  const withToken = smallSite({ broker: KAFKA, settings: { token: TOKEN } })
  expect(await act(withToken)).toBe(401)
  expect(await act(withToken, { peer: '203.0.113.7', host: 'app.example', headers: bearer })).toBe(200)
  const off = smallSite({ settings: { admin: false } })
  expect(await act(off)).toBe(403)
  expect(await status(off, '/stats')).toBe(200)
})

it('no page of another site can act, whatever host name it uses for this one', async () => {
  const small = smallSite({ broker: KAFKA, settings: { token: TOKEN, hosts: 'app.example, other.example:8443' } })
  const signedIn = await ask(small, '/sign-in/', { method: 'POST', body: `token=${TOKEN}` })
  const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? ''
  const from = (origin: string, more = {}): Promise<number> =>
    act(small, {
      host: new URL(origin.startsWith('http') ? origin : 'http://evil.example').host,
      headers: { cookie, origin, ...more },
    })
  for (const origin of ['http://localhost:6066', 'https://app.example', 'https://other.example:8443'])
    expect([origin, await from(origin)]).toEqual([origin, 200])
  // Its own name in Host and Origin, as after DNS rebinding.
  for (const origin of ['http://evil.example', 'https://app.example.evil.example', 'https://other.example', 'null'])
    expect([origin, await from(origin)]).toEqual([origin, 403])
  for (const site of ['cross-site', 'same-site', 'none'])
    expect(await from('https://app.example', { 'sec-fetch-site': site })).toBe(403)
  const bare = { method: 'POST', headers: { cookie } }
  expect(await status(small, '/jobs/nightly/run/', bare)).toBe(403)
  expect(small.worker.asked).toHaveLength(3)
  // Without a token, this machine is what counts, and the same checks apply.
  const local = smallSite()
  expect(await act(local, { headers: { origin: 'https://evil.example' } })).toBe(403)
  expect(await act(local, { headers: { origin: 'http://localhost:6066', 'sec-fetch-site': 'cross-site' } })).toBe(403)
})

it('logs each action with its caller and its outcome', async () => {
  const small = smallSite({ settings: { token: TOKEN } })
  await act(small, { headers: bearer })
  await act(small, { headers: bearer }, '/jobs/daily/run/')
  const lines = small.logged.filter(({ fields }) => 'action' in fields)
  expect(lines).toEqual([
    {
      level: 'info',
      message: 'An action was carried out.',
      fields: { action: '/jobs/nightly/run/', by: 'token', peer: '127.0.0.1', status: 200 },
    },
    {
      level: 'warn',
      message: 'An action was refused or has failed.',
      fields: { action: '/jobs/daily/run/', by: 'token', peer: '127.0.0.1', error: expect.any(String) },
    },
  ])
})

it('tells the page whether actions are on, and why not', async () => {
  const small = smallSite({ broker: KAFKA, settings: { admin: false } })
  const answer: unknown = await (await small.get('/')).json()
  expect(answer).toMatchObject({ admin: { on: false, reason: expect.stringContaining('web.admin') } })
})
