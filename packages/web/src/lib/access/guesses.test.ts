import { manualClock, type ManualClock } from '@millrace/core'
import { eventually } from '@millrace/conformance'
import { expect, test } from 'vitest'
import { smallSite, type SmallSite } from '../fixtures/small-site.fixture.ts'
import type { SiteSettings } from '../site-app.ts'

const TOKEN = 'a-long-and-random-token'

interface Guarded extends SmallSite {
  readonly time: ManualClock
  /** The status of a form with this token, or with this body. */
  form(body: string | ReadableStream<Uint8Array>, peer?: string): Promise<number>
  bearer(token: string, peer?: string): Promise<number>
}

function guarded(settings: Partial<SiteSettings['web']> = {}): Guarded {
  const time = manualClock()
  const small = smallSite({ settings: { token: TOKEN, ...settings }, clock: time })
  const status = async (path: string, init: object, peer = '203.0.113.7'): Promise<number> =>
    (await small.site.handle(new Request(`http://app.example${path}`, init), small.worker, peer)).status
  return {
    ...small,
    time,
    form: (body, peer) => status('/sign-in/', { method: 'POST', body, duplex: 'half' }, peer),
    bearer: (token, peer) => status('/stats', { headers: { authorization: `Bearer ${token}` } }, peer),
  }
}

const counted = (statuses: readonly number[]): Readonly<Record<number, number>> =>
  statuses.reduce<Record<number, number>>((sum, status) => ({ ...sum, [status]: (sum[status] ?? 0) + 1 }), {})

/** A connection that sends `texts` and then nothing. */
const slow = (...texts: readonly string[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start: (controller) => texts.forEach((text) => controller.enqueue(new TextEncoder().encode(text))),
  })

test('checks ten of 300 concurrent guesses', async () => {
  const { form, logged } = guarded()
  const all = Array.from({ length: 300 }, (_, n) => form(`token=${n === 299 ? TOKEN : n}`))
  expect(counted(await Promise.all(all))).toEqual({ 401: 10, 429: 290 })
  expect(logged.filter(({ message }) => message.includes('a wrong token'))).toHaveLength(10)
})

test('an address that guesses locks out only itself, and so do a thousand', async () => {
  const { form, bearer, time, logged } = guarded()
  await Promise.all(Array.from({ length: 300 }, (_, n) => form(`token=${n}`)))
  expect(await form(`token=${TOKEN}`)).toBe(429)
  expect(await form(`token=${TOKEN}`, '203.0.113.8')).toBe(303)
  for (let n = 0; n < 1_000; n++) await form('token=guess', `10.0.${n >> 8}.${n & 255}`)
  expect(await form(`token=${TOKEN}`, '198.51.100.1')).toBe(303)
  expect(await bearer(TOKEN, '198.51.100.2')).toBe(200)
  // Now each address may be wrong once.
  expect([await form('token=a', '198.51.100.3'), await form('token=b', '198.51.100.3')]).toEqual([401, 429])
  expect(logged.length).toBeLessThan(120)
  await time.advance(61_000)
  for (const peer of ['203.0.113.7', '10.0.0.1', '198.51.100.3']) expect(await form(`token=${TOKEN}`, peer)).toBe(303)
})

test('bearer tokens count like tokens from the form, and are logged', async () => {
  const { form, bearer, time, logged } = guarded()
  for (let n = 0; n < 5; n++) expect(await bearer(`guess${n}`)).toBe(401)
  for (let n = 5; n < 10; n++) expect(await form(`token=guess${n}`)).toBe(401)
  expect([await bearer('guess'), await bearer(TOKEN), await form(`token=${TOKEN}`)]).toEqual([429, 429, 429])
  expect([await bearer(TOKEN, '203.0.113.8'), await bearer('', '203.0.113.8')]).toEqual([200, 401])
  const lines = logged.filter(({ level }) => level === 'warn')
  expect(lines.filter(({ message }) => message.includes('asked for a page with a wrong token'))).toHaveLength(5)
  expect(lines.every(({ fields }) => 'peer' in fields && fields.peer === '203.0.113.7')).toBe(true)
  expect(JSON.stringify(logged)).not.toContain('guess')
  await time.advance(61_000)
  expect(await bearer(TOKEN)).toBe(200)
})

test('a repeated token counts as one guess, so a program with an outdated token locks nobody out', async () => {
  const { form, bearer, logged } = guarded()
  for (let n = 0; n < 100; n++) expect(await bearer('the-one-before')).toBe(401)
  expect([await bearer(TOKEN), await form(`token=${TOKEN}`)]).toEqual([200, 303])
  expect(logged.filter(({ message }) => message.includes('wrong token'))).toHaveLength(1)
})

test('a signed-in browser stays signed in, and pages of the app can have their own tokens', async () => {
  const { form, site, worker } = guarded()
  site.page('/mine/', (c) => c.text('mine'))
  const ask = (path: string, init: object): Promise<Response> =>
    site.handle(new Request(`http://app.example${path}`, init), worker, '203.0.113.7')
  const signedIn = await ask('/sign-in/', { method: 'POST', body: `token=${TOKEN}` })
  const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? ''
  for (let n = 0; n < 20; n++)
    expect((await ask('/mine/', { headers: { authorization: `Bearer of-user-${n}` } })).status).toBe(200)
  for (let n = 0; n < 20; n++) await form(`token=${n}`)
  expect(await form(`token=${TOKEN}`)).toBe(429)
  for (const headers of [{ cookie }, { cookie, authorization: 'Bearer x' }])
    expect((await ask('/stats', { headers })).status).toBe(200)
})

test('an IPv6 client is counted by its network, however its address is written', async () => {
  const { form } = guarded()
  for (let n = 0; n < 10; n++) expect(await form(`token=${n}`, `2001:db8:1:2:${n}::${n}`)).toBe(401)
  expect(await form(`token=${TOKEN}`, '2001:db8:1:2::77')).toBe(429)
  expect(await form(`token=${TOKEN}`, '2001:db8:1:3::77')).toBe(303)
  for (let n = 0; n < 10; n++)
    expect(await form(`token=${n}`, n % 2 === 0 ? '192.0.2.1' : '::ffff:192.0.2.1')).toBe(401)
  expect(await form(`token=${TOKEN}`, '::ffff:c000:201')).toBe(429)
  for (let n = 0; n < 10; n++) expect(await form(`token=${n}`, `fe80::${n}%eth0`)).toBe(401)
  expect(await form(`token=${TOKEN}`, 'fe80::1%eth0')).toBe(429)
})

test('incomplete forms block no other request, and are ended after five seconds', async () => {
  const { form, bearer, time } = guarded({ maxRequests: 5 })
  const address = (n: number): string => `10.0.0.${n}`
  const open = Array.from({ length: 505 }, (_, n) => form(slow('token='), address(Math.floor(n / 46))))
  const answered = Promise.all(open)
  expect(await bearer(TOKEN)).toBe(200)
  await time.advance(5_000)
  // Ten from each address, a hundred in all.
  expect(counted(await answered)).toEqual({ 408: 100, 429: 360, 503: 45 })
  expect(await form(`token=${TOKEN}`, address(1))).toBe(303)
})

test('a form sent in pieces has five seconds in total', async () => {
  const { form, time } = guarded()
  let pieces = 0
  const dripping = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await time.sleep(1_000)
        pieces++
        controller.enqueue(new TextEncoder().encode('t'))
      },
    },
    { highWaterMark: 0 },
  )
  let status: number | undefined
  void form(dripping).then((answered) => (status = answered))
  for (let seconds = 0; seconds < 5; seconds++) {
    expect(status).toBeUndefined()
    await time.advance(1_000)
  }
  await eventually(() => status === 408, { what: 'the end of the form' })
  expect(pieces).toBeGreaterThan(2)
})

test('a form has a small size limit', async () => {
  const { form } = guarded()
  expect(await form(`token=${'x'.repeat(17_000)}`)).toBe(413)
  expect(await form(slow('x'.repeat(10_000), 'x'.repeat(10_000)))).toBe(413)
  expect(await form(`token=${TOKEN}&next=/${'x'.repeat(10_000)}`)).toBe(303)
})
