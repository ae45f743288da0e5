import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { manualClock } from '@millrace/core'
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { keyOf, routeProcesses, type Running } from '../fixtures/route-processes.fixture.ts'
import { smallGroup, smallSite } from '../fixtures/small-site.fixture.ts'
import { jobNamed } from '../fixtures/small-worker.fixture.ts'
import type { ForwardedRequest, PageContext } from '../pages/page-context.ts'
import { View } from '../pages/view.ts'
import type { SiteSettings } from '../site-app.ts'
import { FORWARD_WINDOW_MS, type SignedRequest, signForward, verifyForward } from './forward-signature.ts'

const { start, stop } = routeProcesses()
afterEach(stop)

const request: SignedRequest = { appId: 'shop', method: 'POST', target: '/a/?b=c', to: '10.0.0.7:6066' }
const forwardedBy: ForwardedRequest = { from: 'one', peer: '203.0.113.7', as: 'session', mayAct: true }
const SECRET = 'a secret of all workers'

const texts = fc.string({ unit: 'binary', maxLength: 20 })
const requests: fc.Arbitrary<SignedRequest> = fc.record({ appId: texts, method: texts, target: texts, to: texts })
const forwarded: fc.Arbitrary<ForwardedRequest> = fc.record({
  from: texts,
  peer: fc.option(texts, { nil: undefined }),
  as: fc.constantFrom('token', 'session', 'this machine', 'worker'),
  mayAct: fc.boolean(),
})

test('believes a signature with the same secret, for the same request, at about the same time', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }),
      requests,
      forwarded,
      fc.integer({ min: -FORWARD_WINDOW_MS, max: FORWARD_WINDOW_MS }),
      (secret, asked, said, aheadMs) => {
        const now = 1_700_000_000_000
        expect(verifyForward(signForward(secret, asked, said, now), secret, asked, now + aheadMs)).toEqual({
          forwardedBy: { ...said, atMs: now, nonce: expect.stringMatching(/^[\w-]{12}$/) },
        })
      },
    ),
  )
})

test('refuses a different secret, application, method, target, worker or time, and any changed character', () => {
  const now = 1_700_000_000_000
  const signed = signForward(SECRET, request, forwardedBy, now)
  const problem = { problem: expect.any(String) }
  fc.assert(
    fc.property(fc.constantFrom('appId', 'method', 'target', 'to'), texts, (part, text) => {
      fc.pre(request[part] !== text)
      expect(verifyForward(signed, SECRET, { ...request, [part]: text }, now)).toEqual(problem)
    }),
  )
  fc.assert(
    fc.property(texts, (secret) => {
      fc.pre(secret !== SECRET)
      expect(verifyForward(signed, secret, request, now)).toEqual(problem)
    }),
  )
  fc.assert(
    fc.property(fc.nat({ max: signed.length - 1 }), fc.string({ unit: 'binary', maxLength: 2 }), (at, text) => {
      const changed = signed.slice(0, at) + text + signed.slice(at + 1)
      fc.pre(changed !== signed)
      expect(verifyForward(changed, SECRET, request, now)).toEqual(problem)
    }),
    { numRuns: 2_000 },
  )
  // Text cannot move from one part into the next.
  const moved = { ...request, method: 'PO', target: 'ST/a/?b=c' }
  expect(verifyForward(signed, SECRET, moved, now)).toEqual(problem)
  for (const at of [now - FORWARD_WINDOW_MS - 1, now + FORWARD_WINDOW_MS + 1])
    expect(verifyForward(signed, SECRET, request, at)).toEqual(problem)
})

test('arbitrary text is refused without an error', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        texts,
        fc.string(),
        fc.base64String().map((text) => `1.${text}.${'a'.repeat(43)}`),
      ),
      (text) => {
        expect(verifyForward(text, SECRET, request, 0)).toEqual({ problem: expect.any(String) })
      },
    ),
  )
})

/** What a page saw of a request. */
interface Seen {
  readonly peer: string | undefined
  readonly forwardedBy: ForwardedRequest | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** A page for keys that answers with what it saw, by GET and POST. */
function showing({ site, own }: Running): readonly Seen[] {
  const seen: Seen[] = []
  const show = (c: PageContext): Response => {
    const { peer, forwardedBy: by } = c
    seen.push({ peer, forwardedBy: by, headers: Object.fromEntries(c.request.headers) })
    return c.text('seen')
  }
  class Shows extends View {
    override get = site.tableRoute(own.words, { param: 'word' }, show)
    override post = site.tableRoute(own.words, { param: 'word' }, show)
  }
  site.page('/shows/:word/', Shows)
  return seen
}

/** Two workers with one partition each. */
async function two(
  first: Partial<SiteSettings['web']>,
  second: Partial<SiteSettings['web']>,
): Promise<readonly [Running, Running]> {
  const group = smallGroup(6)
  return [await start(group, 'one', [0, 1, 2], first), await start(group, 'two', [3, 4, 5], second)]
}

const bearer = (token: string): { readonly authorization: string } => ({ authorization: `Bearer ${token}` })
const sessionOf = async ({ url }: Running, token: string): Promise<string> => {
  const answer = await fetch(`${url}/sign-in/`, {
    method: 'POST',
    body: new URLSearchParams({ token }),
    redirect: 'manual',
  })
  return answer.headers.get('set-cookie')?.split(';')[0] ?? ''
}

test('the owner learns the client and its rights, but gets neither token nor session', async () => {
  const [one, other] = await two({ token: 'token-of-one' }, { token: 'token-of-two' })
  showing(one)
  const seen = showing(other)
  const url = `${one.url}/shows/${keyOf(other)}/?q=%20`
  const session = await sessionOf(one, 'token-of-one')
  for (const headers of [
    {},
    bearer('token-of-one'),
    { cookie: `a=b; ${session}; c=d`, 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'https' },
    { ...bearer('of the app'), cookie: session },
  ])
    expect(await (await fetch(url, { headers })).text()).toBe('seen')
  const by = { from: 'one', peer: '127.0.0.1', mayAct: false }
  expect(seen.map(({ peer, forwardedBy: vouched }) => [peer, vouched])).toEqual([
    ['127.0.0.1', { ...by, as: undefined }],
    ['127.0.0.1', { ...by, as: 'token' }],
    ['127.0.0.1', { ...by, as: 'session' }],
    ['127.0.0.1', { ...by, as: 'session' }],
  ])
  const headers = seen.map(({ headers: { authorization, cookie } }) => [authorization, cookie])
  expect(headers).toEqual([
    [undefined, undefined],
    [undefined, undefined],
    [undefined, 'a=b; c=d'],
    ['Bearer of the app', undefined],
  ])
  const forwarded = seen.map(({ headers: given }) => [
    given['x-forwarded-for'],
    given['x-forwarded-proto'],
    given['x-forwarded-host'],
  ])
  const host = new URL(one.url).host
  expect(forwarded).toEqual([
    ['127.0.0.1', 'http', host],
    ['127.0.0.1', 'http', host],
    ['203.0.113.7, 127.0.0.1', 'https', host],
    ['127.0.0.1', 'http', host],
  ])
})

test('a client admitted at one worker sees another’s data; other clients do not, whatever they claim', async () => {
  const [one, other] = await two({ token: 'token-of-one' }, { token: 'token-of-two' })
  const key = keyOf(other)
  other.own.words.put(key, 'value')
  const ask = async (at: Running, headers: Record<string, string>): Promise<number> =>
    (await fetch(`${at.url}/table/words/${key}/`, { headers })).status
  expect(await ask(one, bearer('token-of-one'))).toBe(200)
  expect(await ask(other, bearer('token-of-one'))).toBe(401)
  const address = other.web.address() ?? ''
  const target = { appId: 'app', method: 'GET', target: `/table/words/${key}/`, to: address }
  const vouched: ForwardedRequest = { from: 'one', peer: '10.0.0.1', as: 'token', mayAct: true }
  const made = (secret: string, changes: Partial<SignedRequest> = {}, now = Date.now()): string =>
    signForward(secret, { ...target, ...changes }, vouched, now)
  const secret = other.worker.groupSecret() ?? ''
  expect(await ask(other, { 'millrace-forwarded': made(secret) })).toBe(200)
  for (const forged of [
    'true',
    'unsigned',
    '',
    made('another secret'),
    made(secret, { to: one.web.address() ?? '' }),
    made(secret, { target: `/table/words/${keyOf(one)}/` }),
    made(secret, { method: 'POST' }),
    made(secret, { appId: 'other' }),
    made(secret, {}, Date.now() - 2 * FORWARD_WINDOW_MS),
    `${made(secret)}, ${made(secret)}`,
  ]) {
    expect([forged, await ask(other, { 'millrace-forwarded': forged })]).toEqual([forged, 401])
  }
  // A `Connection` header cannot remove the signature on the way.
  const connection = { ...bearer('token-of-one'), connection: 'millrace-forwarded, x-forwarded-for' }
  const left = await once(get(`${one.url}/table/words/${key}/`, { headers: connection }), 'response')
  expect(left.map((answer: IncomingMessage) => answer.resume().statusCode)).toEqual([200])
  const warned = other.logged.filter(({ message }) => message.includes('not believed'))
  expect(warned).toHaveLength(1)
  expect(JSON.stringify([one.logged, other.logged])).not.toContain(secret)
})

test('a signed request that changes something is believed only once', async () => {
  const [one, other] = await two({}, {})
  showing(one)
  const seen = showing(other)
  const path = `/shows/${keyOf(other)}/`
  expect((await fetch(one.url + path, { method: 'POST', body: 'x' })).status).toBe(200)
  const copied = seen[0]?.headers['millrace-forwarded'] ?? ''
  const again = { method: 'POST', headers: { 'millrace-forwarded': copied } }
  expect((await fetch(other.url + path, again)).status).toBe(200)
  expect(seen.map(({ forwardedBy: by }) => by?.from)).toEqual(['one', undefined])
})

test('a restarted worker refuses changes that were signed before its start', async () => {
  const [one, other] = await two({}, {})
  showing(one)
  const seen = showing(other)
  const path = `/shows/${keyOf(other)}/`
  const address = other.web.address() ?? ''
  const signed = (method: string, atMs: number): Record<string, string> => {
    const asked = { appId: 'app', method, target: path, to: address }
    return { 'millrace-forwarded': signForward(other.worker.groupSecret() ?? '', asked, forwardedBy, atMs) }
  }
  // A new process, without the previous one's memory.
  const startedMs = Date.now() - 10_000
  other.worker.startedAt = new Date(startedMs)
  for (const [method, atMs] of [
    ['POST', startedMs - 1],
    ['POST', startedMs + 1],
    ['GET', startedMs - 1],
  ] as const)
    expect((await fetch(other.url + path, { method, headers: signed(method, atMs) })).status).toBe(200)
  expect(seen.map(({ forwardedBy: by }) => by?.from)).toEqual([undefined, 'one', 'one'])
  const warned = other.logged.find(({ message }) => message.includes('not believed'))
  expect(warned?.fields).toMatchObject({ problem: 'was signed before this worker started' })
})

test('workers that cannot verify each other serve pages of the app without loops, and trust nothing', async () => {
  const [one, other] = await two(
    { token: 'of-one', secret: 'the secret of one worker' },
    { token: 'of-two', secret: 'the secret of another' },
  )
  const key = keyOf(other)
  showing(one)
  const seen = showing(other)
  expect((await fetch(`${one.url}/shows/${key}/`)).status).toBe(200)
  expect(seen).toMatchObject([{ peer: '127.0.0.1', forwardedBy: undefined }])
  expect((await fetch(`${one.url}/table/words/${key}/`, { headers: bearer('of-one') })).status).toBe(401)
  // Each worker takes the other for the owner.
  other.worker.open.clear()
  const confused = { member: 'one', address: one.web.address() }
  for (const partition of [3, 4, 5])
    other.worker.group.owners.set(partition, { member: 'two', address: other.web.address() })
  const third = await start({ ...smallGroup(6), owners: new Map([3, 4, 5].map((at) => [at, confused])) }, 'three', [])
  one.worker.group.owners.set(3, { member: 'three', address: third.web.address() })
  one.worker.group.owners.set(4, { member: 'three', address: third.web.address() })
  one.worker.group.owners.set(5, { member: 'three', address: third.web.address() })
  const circled = await fetch(`${one.url}/words/${key}/`)
  expect([circled.status, await circled.text()]).toEqual([503, expect.stringContaining('moving')])
})

test('without a secret, requests are forwarded unchanged and count as a client’s', async () => {
  const group = { ...smallGroup(6), secret: undefined }
  const [one, other] = [
    await start(group, 'one', [0, 1, 2], { token: 'same' }),
    await start(group, 'two', [3, 4, 5], { token: 'same' }),
  ]
  const key = keyOf(other)
  showing(one)
  const seen = showing(other)
  expect((await fetch(`${one.url}/shows/${key}/`, { headers: bearer('same') })).status).toBe(200)
  expect(seen).toMatchObject([
    { forwardedBy: undefined, headers: { authorization: 'Bearer same', 'millrace-forwarded': 'unsigned' } },
  ])
  other.own.words.put(key, 'value')
  expect((await fetch(`${one.url}/table/words/${key}/`, { headers: bearer('same') })).status).toBe(200)
  expect((await fetch(`${one.url}/table/words/${key}/`)).status).toBe(401)
})

test('an action is authorised at the first worker, and carried out at the leader', async () => {
  const [one, leader] = await two({ hosts: 'app.example' }, { token: 'another' })
  for (const { worker } of [one, leader]) {
    worker.listed = [jobNamed('daily')]
    worker.ledJobs.add('daily')
    worker.leader = { member: 'two', address: leader.web.address() }
  }
  leader.worker.leads = true
  const run = async (headers: Record<string, string>): Promise<number> =>
    (await fetch(`${one.url}/jobs/daily/run/`, { method: 'POST', headers })).status
  const action = { 'millrace-action': 'test' }
  expect(await run(action)).toBe(200)
  expect(await run({ ...action, origin: 'https://app.example' })).toBe(200)
  expect(leader.worker.asked).toEqual(['run daily', 'run daily'])
  expect(await run({ ...action, origin: 'https://evil.example' })).toBe(403)
  expect(await run({})).toBe(403)
  expect(leader.worker.asked).toHaveLength(2)
  expect(leader.logged.filter(({ fields }) => 'action' in fields)[0]?.fields).toMatchObject({
    by: 'this machine',
    from: 'one',
    peer: '127.0.0.1',
  })
  // An action that the first worker refuses, forwarded all the same.
  const to = leader.web.address() ?? ''
  const signed = signForward(
    leader.worker.groupSecret() ?? '',
    { appId: 'app', method: 'POST', target: '/jobs/daily/run/', to },
    { from: 'one', peer: undefined, as: 'session', mayAct: false },
    Date.now(),
  )
  const passedOn = await fetch(`${leader.url}/jobs/daily/run/`, {
    method: 'POST',
    headers: { ...action, 'millrace-forwarded': signed },
  })
  expect(passedOn.status).toBe(403)
  expect(leader.worker.asked).toHaveLength(2)
})

test('the secret appears on no page and in no log line', async () => {
  const secret = 'a secret that nobody may see'
  const small = smallSite({ clock: manualClock(), settings: { secret } })
  const pages = ['/', '/stats', '/assignment/', '/router/', '/graph/', '/metrics', '/health/ready']
  const group = small.worker.groupSecret() ?? ''
  for (const path of pages) {
    const text = await (await small.get(path)).text()
    expect(text.length).toBeGreaterThan(0)
    expect([path, text.includes(secret), text.includes(group)]).toEqual([path, false, false])
  }
  expect(JSON.stringify(small.logged)).not.toContain(secret)
})
