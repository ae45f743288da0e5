import { deferred, manualClock, MillraceError } from '@millrace/core'
import type { ProcessingContext } from '@millrace/worker'
import { expect, test } from 'vitest'
import { PageError } from '../pages/page-error.ts'
import { smallSite } from '../fixtures/small-site.fixture.ts'
import { textTable } from '../fixtures/small-table.fixture.ts'
import type { PageContext } from '../pages/page-context.ts'
import { View } from '../pages/view.ts'

class Counter extends View {
  count = 0
  override get(c: PageContext): Response {
    return c.json({ count: this.count })
  }
  override post(c: PageContext): Response {
    this.count += Number(c.query.get('n') ?? 1)
    return c.json({ count: this.count })
  }
  override delete(c: PageContext): Response {
    this.count = 0
    return c.json({ count: 0 })
  }
}

test('a page answers GET with and without the trailing slash', async () => {
  const { site, get } = smallSite()
  let count = 0
  site.page('/count/', (c) => c.json({ count: ++count }))
  expect(await (await get('/count/')).json()).toEqual({ count: 1 })
  const second = await get('/count')
  expect(await second.json()).toEqual({ count: 2 })
  expect(second.headers.get('content-type')).toBe('application/json')
})

test('a view keeps its state between verbs', async () => {
  const { site, get } = smallSite()
  site.page('/counter/', Counter)
  expect(await (await get('/counter/')).json()).toEqual({ count: 0 })
  expect(await (await get('/counter/?n=5', { method: 'POST' })).json()).toEqual({ count: 5 })
  expect(await (await get('/counter/', { method: 'POST' })).json()).toEqual({ count: 6 })
  expect(await (await get('/counter/')).json()).toEqual({ count: 6 })
  expect(await (await get('/counter/', { method: 'DELETE' })).json()).toEqual({ count: 0 })
})

test('a view may be an object, or created when its page is first requested', async () => {
  class Stock extends View {
    readonly #of: Map<string, number>
    constructor(of: Map<string, number>) {
      super()
      this.#of = of
    }
    override get(c: PageContext): Response {
      return c.json(Object.fromEntries(this.#of))
    }
  }
  const { site, get } = smallSite()
  site.page('/object/', new Stock(new Map([['pears', 2]])))
  let made = 0
  site.page('/made/', {
    view: () => {
      made += 1
      return new Stock(new Map([['plums', 3]]))
    },
  })
  expect(made).toBe(0)
  expect(await (await get('/object/')).json()).toEqual({ pears: 2 })
  expect(await (await get('/made/')).json()).toEqual({ plums: 3 })
  expect((await get('/made/', { method: 'POST' })).headers.get('allow')).toBe('GET, HEAD, OPTIONS')
  expect(made).toBe(1)
})

test('refuses anything that is not a view, and a factory’s wrong result when it runs', async () => {
  const { site, get } = smallSite()
  const define = (page: unknown): unknown => Reflect.apply(site.page, site, ['/odd/', page])
  for (const odd of [{}, 7, null, undefined, 'text']) expect(() => define(odd)).toThrow('/odd/ must be a function')
  define({ view: () => ({}) })
  expect((await get('/odd/')).status).toBe(500)
})

test('a body that is not JSON is 400, however a page reads it', async () => {
  const { site, get } = smallSite()
  site.page(
    '/echo/:how/',
    class extends View {
      override async get(c: PageContext): Promise<Response> {
        return c.json(await c.readJson())
      }

      override async post(c: PageContext): Promise<Response> {
        const { how } = c.params
        return c.json(
          how === 'context' ? await c.readJson() : await (how === 'clone' ? c.request.clone() : c.request).json(),
        )
      }
    },
  )
  for (const how of ['context', 'request', 'clone']) {
    for (const body of ['{', '']) {
      const answer = await get(`/echo/${how}/`, { method: 'POST', body })
      expect([how, body, answer.status, await answer.json()]).toEqual([
        how,
        body,
        400,
        { error: 'The body is not JSON.' },
      ])
    }
    expect((await get(`/echo/${how}/`, { method: 'POST' })).status).toBe(400)
    expect(await (await get(`/echo/${how}/`, { method: 'POST', body: '[1]' })).json()).toEqual([1])
  }
  // This request has no body.
  expect((await get('/echo/context/')).status).toBe(400)
})

test('an unsupported verb is 405 with Allow', async () => {
  const { site, get } = smallSite()
  site.page('/counter/', Counter)
  site.page('/page/', (c) => c.text(''))
  const answer = await get('/counter/', { method: 'PATCH' })
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST, DELETE, OPTIONS'])
  expect(await answer.json()).toEqual({ error: expect.stringContaining('/counter/') })
  expect((await get('/page/', { method: 'POST' })).headers.get('allow')).toBe('GET, HEAD, OPTIONS')
})

test('HEAD is GET without the body, OPTIONS lists the verbs; a view may override both', async () => {
  const { site, get } = smallSite()
  site.page('/plain/', (c) => c.text('12345'))
  site.page(
    '/own/',
    class extends View {
      override head(): Response {
        return new Response(null, { headers: { 'x-own': 'head' } })
      }
      override options(): Response {
        return new Response('own options')
      }
    },
  )
  const head = await get('/plain/', { method: 'HEAD' })
  expect([
    head.status,
    head.headers.get('content-length'),
    head.headers.get('content-type'),
    await head.text(),
  ]).toEqual([200, '5', 'text/plain; charset=utf-8', ''])
  const options = await get('/plain/', { method: 'OPTIONS' })
  expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS'])
  expect((await get('/own/', { method: 'HEAD' })).headers.get('x-own')).toBe('head')
  expect(await (await get('/own/', { method: 'OPTIONS' })).text()).toBe('own options')
  expect((await get('/own/')).status).toBe(405)
})

test('HEAD cancels a streamed body', async () => {
  const { site, get } = smallSite()
  const cancelled = deferred<string>()
  site.page('/stream/', () => new Response(new ReadableStream({ cancel: () => cancelled.resolve('cancelled') })))
  await get('/stream/', { method: 'HEAD' })
  expect(await cancelled.promise).toBe('cancelled')
})

test('the page gets parameters, query and body', async () => {
  const { site, get } = smallSite()
  site.page('/a/:one/b/:two/', (c) => c.json([c.params.one, c.params.two, c.query.getAll('q'), c.url.pathname]))
  expect(await (await get('/a/x%2Fy/b/%25/?q=1&q=%C3%BC')).json()).toEqual(['x/y', '%', ['1', 'ü'], '/a/x%2Fy/b/%25/'])
  site.page(
    '/echo/',
    class extends View {
      override async put(c: PageContext): Promise<Response> {
        return c.json({ got: await c.request.json(), type: c.request.headers.get('content-type') })
      }
    },
  )
  const answer = await get('/echo/', {
    method: 'PUT',
    body: '{"a":[1]}',
    headers: { 'content-type': 'application/json' },
  })
  expect(await answer.json()).toEqual({ got: { a: [1] }, type: 'application/json' })
})

test('every kind of answer', async () => {
  const { site, get } = smallSite()
  site.page('/:kind/x/', (c) => {
    switch (c.params.kind) {
      case 'text':
        return c.text('Grüße', 201)
      case 'html':
        return c.html('<b>', { headers: { 'x-a': 'b' } })
      case 'bytes':
        return c.bytes(new Uint8Array([1, 2]), { headers: { 'content-type': 'image/png' } })
      case 'redirect':
        return c.redirect('../y/?a=b', 307)
      case 'away':
        return c.redirect('https://other.example/')
      case 'error':
        return c.error(422, 'No.', { field: 'name' })
      default:
        return new Response('plain', { status: 202 })
    }
  })
  const answers = await Promise.all(
    ['text', 'html', 'bytes', 'redirect', 'away', 'error', 'own'].map((kind) => get(`/${kind}/x/`)),
  )
  expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 307, 302, 422, 202])
  expect(answers.map(({ headers }) => headers.get('content-type')?.split(';')[0])).toEqual([
    'text/plain',
    'text/html',
    'image/png',
    undefined,
    undefined,
    'application/json',
    'text/plain',
  ])
  expect(answers[0]?.headers.get('content-length')).toBe('7')
  expect(answers[3]?.headers.get('location')).toBe('/redirect/y/?a=b')
  expect(answers[4]?.headers.get('location')).toBe('https://other.example/')
  expect(await answers[5]?.json()).toEqual({ error: 'No.', field: 'name' })
})

test('a failure gives a JSON error without a stack or a secret, and is logged and counted', async () => {
  const { site, get, logged, worker } = smallSite()
  site.page('/boom/', () => {
    throw new Error('the password is 123')
  })
  site.page('/reject/', async () => Promise.reject(new MillraceError('ROW_UNDECODABLE', 'internal thing')))
  const answer = await get('/boom/')
  const text = await answer.text()
  expect(answer.status).toBe(500)
  expect(Object.keys(JSON.parse(text))).toEqual(['error'])
  expect(text).not.toMatch(/password|\bat\b.*site\.test/)
  expect(await (await get('/reject/')).json()).toEqual({ error: expect.stringContaining('ROW_UNDECODABLE') })
  expect(worker.raised.map(({ source }) => source)).toEqual(['page /boom/', 'page /reject/'])
  expect(logged.filter(({ level }) => level === 'error').map(({ fields }) => fields)).toEqual([
    expect.objectContaining({ page: '/boom/', method: 'GET' }),
    expect.objectContaining({ page: '/reject/' }),
  ])
})

test.each([
  [new PageError(404, 'Never seen.'), 404, 'Never seen.'],
  [new PageError(200, 'Odd.'), 500, 'Odd.'],
  [new MillraceError('KEY_INVALID', '"x" is no number key.'), 400, '"x" is no number key.'],
  [new MillraceError('PARTITION_NOT_LOCAL', 'Not here.'), 503, 'Not here.'],
  [new MillraceError('ASK_TIMEOUT', 'No reply.'), 504, 'No reply.'],
])('%s is %d', async (error, status, message) => {
  const { site, get } = smallSite()
  site.page('/x/', () => {
    throw error
  })
  const answer = await get('/x/')
  expect(answer.status).toBe(status)
  expect(await answer.json()).toEqual({ error: message })
  expect(answer.headers.has('retry-after')).toBe(status === 503)
})

test('a page that returns no Response is 500', async () => {
  const { site, get, logged } = smallSite()
  const nothing: object = { value: undefined }
  site.page('/nothing/', () => Reflect.get(nothing, 'value'))
  expect((await get('/nothing/')).status).toBe(500)
  expect(JSON.stringify(logged.map(({ message }) => message))).toContain('A page failed.')
})

test('an unknown page is 404, an undecodable URL 400, a long body 413, invalid JSON 400', async () => {
  const { site, get } = smallSite({ settings: { bodyLimitBytes: 10 } })
  site.page(
    '/:name/in/',
    class extends View {
      override async post(c: PageContext): Promise<Response> {
        return c.json(await c.request.json())
      }
    },
  )
  const status = async (path: string, body?: string): Promise<[number, unknown]> => {
    const answer = await get(path, body === undefined ? {} : { method: 'POST', body })
    return [answer.status, await answer.json()]
  }
  const failed = { error: expect.any(String) }
  expect(await status('/nowhere/')).toEqual([404, failed])
  expect(await status('/%ff/in/')).toEqual([400, failed])
  expect(await status('/a/in/?k=%')).toEqual([400, failed])
  expect(await status('/a/in/', '"0123456789"')).toEqual([413, failed])
  expect(await status('/a/in/', '{')).toEqual([400, failed])
  expect(await status('/a/in/', '[1]')).toEqual([200, [1]])
})

test('a page that takes too long is 503: its signal aborts and its late answer is dropped', async () => {
  const clock = manualClock()
  const { site, get } = smallSite({ clock, settings: { requestTimeoutMs: 1000 } })
  const cancelled = deferred<string>()
  site.page('/slow/', async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    return new Response(new ReadableStream({ cancel: () => cancelled.resolve('let go') }))
  })
  const answering = get('/slow/')
  await clock.advance(1000)
  const answer = await answering
  expect(answer.status).toBe(503)
  expect(await answer.json()).toEqual({ error: expect.stringContaining('web.requestTimeout') })
  expect(await cancelled.promise).toBe('let go')
  expect(clock.pending()).toBe(0)
})

test('the signal aborts when the client disconnects and on a hard stop of the worker', async () => {
  const { site, worker } = smallSite()
  const seen: unknown[] = []
  site.page('/wait/', async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    seen.push(signal.reason)
    return new Response()
  })
  const client = new AbortController()
  const first = site.fetch(new Request('http://a/wait/', { signal: client.signal }))
  client.abort(new Error('gone'))
  await first
  const second = site.fetch(new Request('http://a/wait/'))
  worker.abort.abort(new Error('stopped'))
  await second
  expect(seen).toEqual([expect.objectContaining({ message: 'gone' }), expect.objectContaining({ message: 'stopped' })])
})

test('a client that disconnects is no failure of the page, but errors after that are still reported', async () => {
  const small = smallSite()
  const left = new Error('The client is gone.')
  small.site.page(
    '/waits/',
    (c) => new Promise((_, reject) => c.signal.addEventListener('abort', () => reject(c.signal.reason))),
  )
  small.site.page(
    '/fails/',
    (c) => new Promise((_, reject) => c.signal.addEventListener('abort', () => reject(new Error('broken')))),
  )
  for (const [path, status] of [
    ['/waits/', 499],
    ['/fails/', 500],
  ] as const) {
    const client = new AbortController()
    const answer = small.get(path, { signal: client.signal })
    client.abort(left)
    expect((await answer).status).toBe(status)
  }
  expect(small.logged.filter(({ level }) => level !== 'debug')).toMatchObject([
    { level: 'error', fields: { page: '/fails/' } },
  ])
  expect(small.worker.raised).toHaveLength(1)
})

test('pages run in the context of the worker that was asked', async () => {
  const { site, contexts, worker, workers, get } = smallSite()
  const seen: (ProcessingContext | undefined)[] = []
  site.page('/scope/', async (c) => {
    await Promise.resolve()
    seen.push(contexts.getStore())
    return c.text('')
  })
  await get('/scope/')
  expect(seen[0]).toEqual({ client: worker.context, worker: worker.context, event: undefined, agent: undefined })
  workers.length = 0
  await get('/scope/')
  expect(seen[1]).toBeUndefined()
})

test('only the setting allows other origins', async () => {
  const asking = {
    origin: 'https://a.example',
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'x-a',
  }
  const allowed = async (
    cors: string | undefined,
    headers: Record<string, string> = { origin: 'https://a.example' },
  ): Promise<string | null> => {
    const { site, get } = smallSite({ settings: { cors } })
    site.page('/x/', (c) => c.text('x'))
    return (await get('/x/', { headers })).headers.get('access-control-allow-origin')
  }
  expect(await allowed(undefined)).toBeNull()
  expect(await allowed('*')).toBe('*')
  expect(await allowed('https://b.example')).toBeNull()
  expect(await allowed('https://b.example, https://a.example')).toBe('https://a.example')
  expect(await allowed('*', {})).toBeNull()

  const { site, get } = smallSite({ settings: { cors: 'https://a.example' } })
  site.page('/counter/', Counter)
  const preflight = await get('/counter/', { method: 'OPTIONS', headers: asking })
  expect(preflight.status).toBe(204)
  expect(Object.fromEntries(preflight.headers)).toMatchObject({
    'access-control-allow-origin': 'https://a.example',
    'access-control-allow-methods': 'GET, HEAD, POST, DELETE, OPTIONS',
    'access-control-allow-headers': 'x-a',
    vary: 'Origin',
  })
  const refused = await get('/counter/', { method: 'OPTIONS', headers: { ...asking, origin: 'https://evil.example' } })
  expect(refused.headers.has('access-control-allow-methods')).toBe(false)
  expect((await get('/nowhere/', { headers: asking })).headers.get('access-control-allow-origin')).toBe(
    'https://a.example',
  )
})

test('invalid definitions are refused at once', () => {
  const { site, contexts } = smallSite()
  const refused = (code: string, text: string): object =>
    expect.objectContaining({ code, message: expect.stringContaining(text) })
  site.page('/words/:word/', (c) => c.text(''))
  expect(() => site.page('/words/:other', (c) => c.text(''))).toThrow(refused('NAME_TAKEN', '/words/:word/'))
  expect(() => site.page('/stats', (c) => c.text(''))).toThrow(refused('NAME_TAKEN', 'built-in'))
  expect(() => site.page('/empty/', class extends View {})).toThrow(refused('DEFINITION_INVALID', '/empty/'))
  expect(() => site.page('nowhere', (c) => c.text(''))).toThrow(refused('DEFINITION_INVALID', 'nowhere'))
  const placed = (place: unknown) => (): unknown =>
    Reflect.apply(site.tableRoute, site, [textTable('words', contexts), place, () => {}])
  expect(placed({ parm: 'word' })).toThrow(
    refused('DEFINITION_INVALID', 'TableRoute of table "words" has no option parm. Did you mean param?'),
  )
  expect(placed({})).toThrow(refused('DEFINITION_INVALID', "give it { param: 'name' } or { query: 'name' }"))
  expect(placed('word')).toThrow(refused('DEFINITION_INVALID', 'tableRoute of table "words" are "word"'))
  const route = site.tableRoute(textTable('words', contexts), { param: 'wrod' }, (c) => c.text(''))
  // Rejected by the compiler as well.
  const path = ['', 'spelled', ':word', ''].join('/') as '/spelled/:wrod/'
  expect(() => site.page(path, route)).toThrow(refused('DEFINITION_INVALID', '"wrod"'))
  class Routed extends View {
    override post = route
  }
  expect(() => site.page(path, Routed)).toThrow(refused('DEFINITION_INVALID', '"wrod"'))
})

test('the page at / can be replaced, once', async () => {
  const { site, get } = smallSite()
  site.page('/', (c) => c.text('mine'))
  expect(await (await get('/')).text()).toBe('mine')
  expect(() => site.page('/', (c) => c.text('again'))).toThrow(expect.objectContaining({ code: 'NAME_TAKEN' }))
})
