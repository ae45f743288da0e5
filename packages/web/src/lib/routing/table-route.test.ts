import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import { deferred, jsonCodec, type ScopeStorage } from '@millrace/core'
import { afterEach, expect, test } from 'vitest'
import { startProcess, type SiteProcess } from '../fixtures/site-process.fixture.ts'
import { jsonTable, numberTable, type SmallTable, textTable } from '../fixtures/small-table.fixture.ts'
import { smallGroup } from '../fixtures/small-site.fixture.ts'
import { homeOf, type SmallGroup } from '../fixtures/small-worker.fixture.ts'
import type { SiteSettings } from '../site/site-deps.ts'
import { View } from '../pages/view.ts'
import type { PageContext } from '../pages/page-context.ts'

const PARTITIONS = 6
const open: { stop(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop()
})

interface Tables {
  readonly words: SmallTable<string>
  readonly numbers: SmallTable<number>
  readonly objects: SmallTable<unknown>
}

interface Running extends SiteProcess {
  readonly own: Tables
}

async function start(
  group: SmallGroup,
  id: string,
  partitions: readonly number[],
  settings: Partial<SiteSettings> = {},
): Promise<Running> {
  const made: Tables[] = []
  const tables = (
    scope: ScopeStorage,
  ): readonly SmallTable<never>[] | readonly [SmallTable<string>, SmallTable<number>, SmallTable<unknown>] => {
    const own = {
      words: textTable('words', scope),
      numbers: numberTable('numbers', scope),
      objects: jsonTable('objects', scope),
    }
    made.push(own)
    return [own.words, own.numbers, own.objects]
  }
  const process = await startProcess({ id, group, tables, settings }, partitions)
  open.push(process)
  const [own] = made
  if (own === undefined) throw new Error('The tables were made.')
  const { site } = process
  site.page(
    '/words/:word/',
    site.tableRoute(own.words, { param: 'word' }, (c, word) => c.json({ [word]: own.words.get(word), by: id })),
  )
  site.page(
    '/words/',
    site.tableRoute(own.words, { query: 'word' }, (c, word) => c.json({ [word]: own.words.get(word), by: id })),
  )
  site.page(
    '/numbers/:n/',
    site.tableRoute(own.numbers, { param: 'n' }, (c, n) => c.json({ n, value: own.numbers.get(n), by: id })),
  )
  site.page(
    '/objects/',
    site.tableRoute(own.objects, { query: 'key' }, (c, key) => c.json({ key, by: id })),
  )
  return { ...process, own }
}

/** Three processes with two partitions each. */
async function three(settings: Partial<SiteSettings> = {}): Promise<readonly [Running, Running, Running]> {
  const group = smallGroup(PARTITIONS)
  return [
    await start(group, 'one', [0, 3], settings),
    await start(group, 'two', [1, 4], settings),
    await start(group, 'three', [2, 5], settings),
  ]
}

const ownerOf = (processes: readonly Running[], key: string): Running => {
  const found = processes.find(({ worker }) => worker.open.has(homeOf(key, PARTITIONS)))
  if (found === undefined) throw new Error(`Nobody has ${key}.`)
  return found
}
/** A key that `process` has. */
const keyOf = ({ worker }: Running): string => {
  for (let n = 0; ; n++) if (worker.open.has(homeOf(`k${n}`, PARTITIONS))) return `k${n}`
}
const HOSTILE = [
  'a/b',
  '/',
  '%',
  '%2F',
  '100%',
  'a b',
  '+',
  '?a=b&c',
  '#',
  'ü',
  '日本',
  '🚀',
  '__proto__',
  'constructor',
  '"',
  '\\',
  ';',
  'a\nb',
  '\u0000',
  '...',
  '.a',
  'x'.repeat(10_000),
]

test(
  'every key is given by its owner, whichever worker is asked, by path and by query',
  { timeout: 60_000 },
  async () => {
    const processes = await three()
    for (const key of [...HOSTILE, ...Array.from({ length: 30 }, (_, n) => `word-${n}`)]) {
      const owner = ownerOf(processes, key)
      owner.own.words.put(key, `value of ${key}`)
      const text = encodeURIComponent(key)
      for (const { url } of processes) {
        const expected = { [key]: `value of ${key}`, by: owner.worker.id }
        for (const path of [`/words/${text}/`, `/words/?word=${text}`]) {
          const answer = await fetch(url + path)
          expect(answer.status, path.slice(0, 100)).toBe(200)
          expect(Object.entries((await answer.json()) as object)).toEqual(Object.entries(expected))
        }
        expect(await (await fetch(`${url}/table/words/${text}/`)).json()).toBe(`value of ${key}`)
        expect(await (await fetch(`${url}/table/words/?key=${text}`)).json()).toBe(`value of ${key}`)
      }
    }
  },
)

test('keys that cannot be in a path can be in a query', async () => {
  const processes = await three()
  for (const key of ['', '.', '..']) {
    const owner = ownerOf(processes, key)
    owner.own.words.put(key, 'here')
    for (const { url } of processes) {
      expect(await (await fetch(`${url}/words/?word=${key}`)).json()).toEqual({ [key]: 'here', by: owner.worker.id })
      expect(await (await fetch(`${url}/table/words/?key=${key}`)).json()).toBe('here')
    }
  }
})

test('numbers and JSON find the partition of their encoded form', async () => {
  const processes = await three()
  for (const [text, n] of [
    ['1', 1],
    ['1.0', 1],
    ['1e3', 1000],
    ['-0.5', -0.5],
    ['42', 42],
  ] as const) {
    const owner = ownerOf(processes, String(n))
    owner.own.numbers.put(n, 'yes')
    for (const { url } of processes)
      expect(await (await fetch(`${url}/numbers/${text}/`)).json()).toEqual({ n, value: 'yes', by: owner.worker.id })
  }
  const [{ url }] = processes
  const key = { b: [1, 'ü'], a: null }
  const owner = ownerOf(processes, jsonCodec.forKeys.encode(key).toString())
  expect(
    await (await fetch(`${url}/objects/?key=${encodeURIComponent('{ "b": [1, "ü"], "a": null }')}`)).json(),
  ).toEqual({ key, by: owner.worker.id })
})

test('text that is no key is 400 wherever it is asked; a key that is not given too', async () => {
  const [{ url }] = await three()
  expect((await fetch(`${url}/numbers/many/`)).status).toBe(400)
  expect((await fetch(`${url}/objects/?key={`)).status).toBe(400)
  expect((await fetch(`${url}/table/numbers/many/`)).status).toBe(400)
  const missing = await fetch(`${url}/words/`)
  expect([missing.status, await missing.json()]).toEqual([400, { error: expect.stringContaining('?word=') }])
})

test('method, query, headers and body go there, status, headers, cookies and body come back', async () => {
  const [one, two, three_] = await three()
  for (const { site, own, worker } of [one, two, three_]) {
    class Echo extends View {
      override post = site.tableRoute(own.words, { param: 'word' }, async (c: PageContext) => {
        const headers = new Headers({
          'x-by': worker.id,
          'x-given': c.request.headers.get('x-given') ?? '',
          'x-url': c.request.url,
          'content-type': 'application/octet-stream',
        })
        headers.append('set-cookie', 'a=1')
        headers.append('set-cookie', 'b=2')
        return new Response(await c.request.arrayBuffer(), { status: 207, headers })
      })
    }
    site.page('/echo/:word/', Echo)
  }
  const bytes = Buffer.alloc(
    300_000,
    Uint8Array.from({ length: 256 }, (_, byte) => byte),
  )
  const answer = await fetch(`${one.url}/echo/${keyOf(two)}/?q=%E2%82%AC`, {
    method: 'POST',
    headers: { 'x-given': 'kept' },
    body: bytes,
  })
  expect([
    answer.status,
    answer.headers.get('x-by'),
    answer.headers.get('x-given'),
    answer.headers.getSetCookie(),
  ]).toEqual([207, 'two', 'kept', ['a=1', 'b=2']])
  expect(answer.headers.get('x-url')).toBe(`${one.url}/echo/${keyOf(two)}/?q=%E2%82%AC`)
  expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
  const streamed = await fetch(`${one.url}/echo/${keyOf(two)}/`, {
    method: 'POST',
    body: new Blob(['pieces']).stream(),
    duplex: 'half',
  })
  expect(await streamed.text()).toBe('pieces')
  const head = await fetch(`${one.url}/words/${keyOf(two)}/`, { method: 'HEAD' })
  expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([200, 'application/json', ''])
})

test('an error of the owner comes back as it is, a body beyond the limit is 413', async () => {
  const [one, two] = await three({ bodyLimitBytes: 1000 })
  for (const { site, own } of [one, two]) {
    class Failing extends View {
      override get = site.tableRoute(own.words, { param: 'word' }, (c) => c.error(418, 'Teapot.'))
      override put = site.tableRoute(own.words, { param: 'word' }, async (c) => c.text(await c.request.text()))
    }
    site.page('/fail/:word/', Failing)
  }
  const url = `${one.url}/fail/${keyOf(two)}/`
  const answer = await fetch(url)
  expect([answer.status, await answer.json()]).toEqual([418, { error: 'Teapot.' }])
  expect((await fetch(url, { method: 'PUT', body: 'x'.repeat(1001) })).status).toBe(413)
  const pieces = new Blob(['x'.repeat(600), 'y'.repeat(600)]).stream()
  expect((await fetch(url, { method: 'PUT', body: pieces, duplex: 'half' })).status).toBe(413)
  expect((await fetch(url, { method: 'PUT', body: 'fits' })).status).toBe(200)
})

async function unavailable(answer: Response, text: string): Promise<void> {
  expect(answer.status).toBe(503)
  expect(answer.headers.get('retry-after')).toBe('1')
  expect(await answer.json()).toEqual({ error: expect.stringContaining(text) })
}

test('no owner, an owner that recovers, an owner without a site: 503 with Retry-After', async () => {
  const [one, two] = await three()
  const key = keyOf(two)
  const partition = homeOf(key, PARTITIONS)
  const ask = (): Promise<Response> => fetch(`${one.url}/words/${key}/`)
  two.worker.open.delete(partition)
  await unavailable(await ask(), 'moving, or being recovered')
  one.worker.group.owners.set(partition, { member: 'one', address: one.worker.listensAt })
  await unavailable(await ask(), 'being recovered')
  one.worker.group.owners.set(partition, { member: 'four', address: undefined })
  await unavailable(await ask(), 'serves no site')
  one.worker.group.owners.delete(partition)
  await unavailable(await ask(), 'no worker that is known')
})

test('an owner that is down: 503, and the others go on', async () => {
  const [one, two, other] = await three()
  const key = keyOf(two)
  await two.stop()
  await unavailable(await fetch(`${one.url}/words/${key}/`), 'cannot be reached')
  await unavailable(await fetch(`${one.url}/table/words/${key}/`), 'cannot be reached')
  expect((await fetch(`${one.url}/words/${keyOf(other)}/`)).status).toBe(200)
})

test('an owner that does not answer: 503 after web.routeTimeout', async () => {
  const silent = createServer(() => {})
  const address = await listen(silent)
  const group = smallGroup(1)
  const one = await start(group, 'one', [], { routeTimeoutMs: 50 })
  group.owners.set(0, { member: 'silent', address })
  await unavailable(await fetch(`${one.url}/words/x/`), 'does not answer')
  silent.closeAllConnections()
})

test('workers that each take the other for the owner do not send a request in circles', async () => {
  const [one, two] = await three()
  const key = keyOf(one)
  const partition = homeOf(key, PARTITIONS)
  one.worker.open.delete(partition)
  // Each process has its own view of the group.
  const confused = {
    partitions: PARTITIONS,
    owners: new Map([[partition, { member: 'one', address: one.worker.listensAt }]]),
  }
  const third = await start(confused, 'third', [])
  one.worker.group.owners.set(partition, { member: 'third', address: third.worker.listensAt })
  confused.owners.set(partition, { member: 'one', address: one.worker.listensAt })
  await unavailable(await fetch(`${one.url}/words/${key}/`), 'moving')
  await unavailable(await fetch(`${third.url}/words/${key}/`), 'moving')
  await unavailable(
    await fetch(`${two.url}/words/${key}/`, { headers: { 'millrace-forwarded': 'true' } }),
    'not on this worker',
  )
})

test('a partition that moves while a request is on its way is looked up again, for safe methods only', async () => {
  const group = smallGroup(1)
  const [one, two] = [await start(group, 'one', []), await start(group, 'two', [])]
  const asked = deferred<void>()
  const go = deferred<void>()
  // The old owner: it has just lost the partition.
  const old = createServer((_request, response) => {
    asked.resolve()
    void go.promise.then(() => {
      response.writeHead(503, { 'millrace-not-here': 'true' })
      response.end('{}')
    })
  })
  const address = await listen(old)
  const move = (): void => {
    two.worker.open.add(0)
    group.owners.set(0, { member: 'two', address: two.worker.listensAt })
  }
  group.owners.set(0, { member: 'old', address })
  two.own.words.put('x', 'moved')
  const answering = fetch(`${one.url}/words/x/`)
  await asked.promise
  move()
  go.resolve()
  expect(await (await answering).json()).toEqual({ x: 'moved', by: 'two' })

  class Write extends View {
    override post = one.site.tableRoute(one.own.words, { param: 'word' }, (c) => c.text(''))
  }
  one.site.page('/write/:word/', Write)
  two.worker.open.clear()
  group.owners.set(0, { member: 'old', address })
  await unavailable(await fetch(`${one.url}/write/x/`, { method: 'POST', body: 'once' }), 'moving')
})

test('a partition that has come here meanwhile is answered here', async () => {
  const group = smallGroup(1)
  const one = await start(group, 'one', [])
  const old = createServer((_request, response) => {
    one.worker.open.add(0)
    response.writeHead(503, { 'millrace-not-here': 'true' }).end()
  })
  group.owners.set(0, { member: 'old', address: await listen(old) })
  one.own.words.put('x', 'here')
  expect(await (await fetch(`${one.url}/words/x/`)).json()).toEqual({ x: 'here', by: 'one' })
})

test('connections to other workers are used again', async () => {
  let connections = 0
  const other = createServer((_request, response) => void response.end('"value"'))
  other.on('connection', () => (connections += 1))
  const group = smallGroup(1)
  const one = await start(group, 'one', [])
  group.owners.set(0, { member: 'other', address: await listen(other) })
  for (let n = 0; n < 20; n++) expect(await (await fetch(`${one.url}/table/words/k${n}/`)).json()).toBe('value')
  expect(connections).toBe(1)
})

test('an answer that cannot be finished is broken off, not made up', async () => {
  const other = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half', () => response.destroy())
  })
  const group = smallGroup(1)
  const one = await start(group, 'one', [])
  group.owners.set(0, { member: 'other', address: await listen(other) })
  await expect(fetch(`${one.url}/table/words/k/`).then((answer) => answer.text())).rejects.toThrow()
  expect((await fetch(`${one.url}/health/live`)).status).toBe(200)
})

test('a client that leaves takes its forwarded request with it', async () => {
  const asked = deferred<void>()
  const left = deferred<void>()
  const other = createServer((request) => {
    request.socket.once('close', () => left.resolve())
    asked.resolve()
  })
  const group = smallGroup(1)
  const one = await start(group, 'one', [])
  group.owners.set(0, { member: 'other', address: await listen(other) })
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(one.url).port) })
  socket.write('GET /words/x/ HTTP/1.1\r\nHost: a\r\n\r\n')
  await asked.promise
  socket.destroy()
  await left.promise
})

test('two workers of one process answer for each other without a connection', async () => {
  const group = smallGroup(2)
  const one = await start(group, 'one', [0])
  const second = await start(group, 'second', [])
  // As in the test kit: no site of its own.
  one.workers.push(second.worker)
  second.worker.open.add(1)
  group.owners.set(1, { member: 'second', address: undefined })
  const key = ['a', 'b', 'c', 'd'].find((each) => homeOf(each, 2) === 1) ?? ''
  one.own.words.put(key, 'there')
  expect(await (await one.get(`/words/${key}/`)).json()).toEqual({ [key]: 'there', by: 'one' })
})

async function listen(server: Server): Promise<string> {
  open.push({
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('It listens.')
  return `127.0.0.1:${address.port}`
}
