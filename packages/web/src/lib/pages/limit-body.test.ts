import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { manualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { limitBody } from './limit-body.ts'

const clock = manualClock()
const limits = { bytes: 10, idleMs: 1000, clock }
const post = (body: string | ReadableStream<Uint8Array>, headers: Record<string, string> = {}): Request =>
  new Request('http://a/', { method: 'POST', body, headers, duplex: 'half' })
const pieces = (...texts: readonly string[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const text of texts) controller.enqueue(new TextEncoder().encode(text))
      controller.close()
    },
  })
const status = (number: number): object => expect.objectContaining({ name: 'PageError', status: number })

test('a body within the limit is unchanged', async () => {
  expect(await limitBody(post('0123456789'), limits).text()).toBe('0123456789')
  expect(await limitBody(post(pieces('01234', '56789')), limits).text()).toBe('0123456789')
  expect(await limitBody(post('{"a":1}'), limits).json()).toEqual({ a: 1 })
})

test('method, headers and signal are kept', () => {
  const limited = limitBody(post('x', { 'x-a': 'b', 'content-type': 'text/x' }), limits)
  expect([limited.method, limited.headers.get('x-a'), limited.headers.get('content-type')]).toEqual([
    'POST',
    'b',
    'text/x',
  ])
})

test('a declared length over the limit is refused before reading', () => {
  expect(() => limitBody(post('x', { 'content-length': '11' }), limits)).toThrow(status(413))
})

test('reading beyond the limit fails with 413', async () => {
  await expect(limitBody(post(pieces('01234', '567890')), limits).text()).rejects.toEqual(status(413))
  await expect(limitBody(post(pieces('01234', '567890')), limits).arrayBuffer()).rejects.toEqual(status(413))
})

test('invalid JSON is 400', async () => {
  await expect(limitBody(post('{'), limits).json()).rejects.toEqual(status(400))
})

test('a missing body or an invalid form is 400', async () => {
  const empty = (): Request => limitBody(new Request('http://a/', { method: 'POST' }), limits)
  await expect(empty().json()).rejects.toEqual(status(400))
  await expect(empty().formData()).rejects.toEqual(status(400))
  expect(await empty().text()).toBe('')
  await expect(limitBody(post('{', { 'content-type': 'text/plain' }), limits).formData()).rejects.toEqual(status(400))
  await expect(limitBody(post('{').clone(), limits).json()).rejects.toEqual(status(400))
  await expect(limitBody(post('{'), limits).clone().json()).rejects.toEqual(status(400))
})

test('reads a form; a form that is too long is still 413', async () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  expect([...(await limitBody(post('a=1&b=2', form), limits).formData())]).toEqual([
    ['a', '1'],
    ['b', '2'],
  ])
  await expect(limitBody(post(pieces('a=1234', '567890'), form), limits).formData()).rejects.toEqual(status(413))
})

test('a body that breaks off is 400', async () => {
  const broken = new ReadableStream<Uint8Array>({ pull: () => Promise.reject(new Error('gone')) })
  await expect(limitBody(post(broken), limits).text()).rejects.toEqual(status(400))
})

test('a client that stops sending gets 408', async () => {
  const silent = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) })
  const reading = expect(limitBody(post(silent), limits).text()).rejects.toEqual(status(408))
  await clock.advance(999)
  expect(clock.pending()).toBe(1)
  await clock.advance(1)
  await reading
})

test('a request without a body is unchanged', () => {
  const get = new Request('http://a/')
  expect(limitBody(get, limits)).toBe(get)
})

test('a finished request is freed even while its client’s signal has listeners', async () => {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') throw new Error('The gc function is not exposed.')
  const made = (): WeakRef<Request> => {
    const client = new AbortController()
    const given = new Request('http://a/', { method: 'POST', body: 'text', signal: client.signal })
    const limited = limitBody(given, limits)
    given.signal.addEventListener('abort', () => limited.method, { once: true })
    return new WeakRef(limited)
  }
  const all = Array.from({ length: 20 }, made)
  await expect
    .poll(() => {
      collect()
      return all.filter((each) => each.deref() !== undefined).length
    })
    .toBe(0)
})
