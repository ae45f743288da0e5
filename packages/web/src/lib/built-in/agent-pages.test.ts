import { type ErrorCode, MillraceError } from '@millrace/core'
import { expect, test } from 'vitest'
import { smallSite, type SmallSite, type SmallSiteOptions } from '../fixtures/small-site.fixture.ts'
import type { SiteAgent } from '../site-app.ts'

const TOKEN = 'a-token-of-20-letters'

interface AskedOfAgent {
  readonly value: unknown
  readonly key: unknown
  readonly timeout: number
}

/** A site with an agent that repeats what it is asked, or fails with the code that it is given. */
function world(settings: SmallSiteOptions['settings'] = {}): SmallSite & { readonly asked: AskedOfAgent[] } {
  const asked: AskedOfAgent[] = []
  const agent = (name: string, http: boolean): SiteAgent => ({
    name,
    http,
    ask: async (value: unknown, { key, timeout }) => {
      asked.push({ value, key, timeout })
      if (typeof value === 'string' && value.startsWith('fail ')) {
        throw new MillraceError(value.slice('fail '.length) as ErrorCode, 'It failed.')
      }
      return value
    },
  })
  const site = smallSite({ agents: [agent('echo', true), agent('private', false)], settings })
  return { ...site, asked }
}

const post = (body: unknown, headers: Readonly<Record<string, string>> = {}) => ({
  method: 'POST',
  body: typeof body === 'string' ? body : JSON.stringify(body),
  headers: { 'millrace-action': 'ask', ...headers },
})

test('an agent that is declared for it is asked, within the time of a request', async () => {
  const { get, asked } = world({ requestTimeoutMs: 10_000 })
  const answer = await get('/agent/echo/ask/', post({ key: 'k', value: { a: [1] } }))
  expect([answer.status, await answer.json()]).toEqual([200, { a: [1] }])
  await get('/agent/echo/ask/', post({ value: null, timeout: 1_500 }))
  expect(asked).toEqual([
    { key: 'k', value: { a: [1] }, timeout: 9_000 },
    { key: undefined, value: null, timeout: 1_500 },
  ])
})

test('an agent that is not, and one that does not exist, are refused', async () => {
  const { get, asked } = world()
  for (const [name, status, code] of [
    ['private', 403, 'AGENT_PRIVATE'],
    ['none', 404, 'AGENT_MISSING'],
  ] as const) {
    const answer = await get(`/agent/${name}/ask/`, post({ value: 1 }))
    expect([answer.status, answer.headers.get('millrace-error')]).toEqual([status, code])
  }
  expect((await get('/agent/echo/ask/')).status).toBe(405)
  for (const body of ['no JSON', 'null', '1', '"value"', {}, [], { value: 1, timeout: '5' }, { value: 1, timeout: 0 }])
    expect((await get('/agent/echo/ask/', post(body))).status).toBe(400)
  expect(asked).toEqual([])
})

test('a site without agents has none to ask', async () => {
  const { deps, site } = smallSite()
  Object.assign(deps.definitions, { agents: undefined })
  const request = new Request('http://localhost/agent/echo/ask/', post({ value: 1 }))
  expect((await site.fetch(request, '127.0.0.1')).status).toBe(404)
})

test('who may see the pages may ask, and no page of another site; web.admin is for people', async () => {
  const { get, asked } = world({ token: TOKEN, admin: false })
  const bearer = { authorization: `Bearer ${TOKEN}` }
  expect((await get('/agent/echo/ask/', post({ value: 1 }))).status).toBe(401)
  expect((await get('/agent/echo/ask/', post({ value: 1 }, bearer))).status).toBe(200)
  const plain = await get('/agent/echo/ask/', { ...post({ value: 1 }), headers: bearer })
  expect([plain.status, await plain.json()]).toEqual([403, { error: expect.stringContaining('millrace-action') }])
  expect(asked).toHaveLength(1)
  const local = world()
  const foreign = { origin: 'https://evil.example' }
  expect((await local.get('/agent/echo/ask/', post({ value: 1 }, foreign))).status).toBe(403)
  const request = new Request('http://localhost/agent/echo/ask/', post({ value: 1 }))
  expect((await local.site.fetch(request, '203.0.113.7')).status).toBe(403)
  expect(local.asked).toEqual([])
})

test.each([
  ['ASK_FAILED', 500],
  ['ASK_TIMEOUT', 504],
  ['SCHEMA_MISMATCH', 400],
  ['ENCODE_FAILED', 400],
  ['CLOSED', 503],
  ['BROKER_UNREACHABLE', 503],
] as const)('%s is %i, without a time to ask again', async (code, status) => {
  const { get } = world()
  const answer = await get('/agent/echo/ask/', post({ value: `fail ${code}` }))
  expect([answer.status, answer.headers.get('millrace-error'), answer.headers.get('retry-after')]).toEqual([
    status,
    code,
    null,
  ])
  expect(await answer.json()).toEqual({ error: 'It failed.' })
})
