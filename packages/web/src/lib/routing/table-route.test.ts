import { createServer } from 'node:http'
import { deferred, jsonCodec } from '@millrace/core'
import { afterEach, expect, test } from 'vitest'
import { expectUnavailable } from '../fixtures/expect-unavailable.fixture.ts'
import { keyOf, ownerOf, PARTITIONS, routeProcesses } from '../fixtures/route-processes.fixture.ts'
import { smallGroup } from '../fixtures/small-site.fixture.ts'
import { homeOf } from '../fixtures/small-worker.fixture.ts'
import { View } from '../pages/view.ts'

const { start, three, listen, stop } = routeProcesses()
afterEach(stop)

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
  'the owner answers for every key, whichever worker is asked, by path and by query',
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

test('an invalid or missing key is 400 on every worker', async () => {
  const [{ url }] = await three()
  expect((await fetch(`${url}/numbers/many/`)).status).toBe(400)
  expect((await fetch(`${url}/objects/?key={`)).status).toBe(400)
  expect((await fetch(`${url}/table/numbers/many/`)).status).toBe(400)
  const missing = await fetch(`${url}/words/`)
  expect([missing.status, await missing.json()]).toEqual([400, { error: expect.stringContaining('?word=') }])
})

test('a missing owner, a recovering one, or one without a site gives 503 with Retry-After', async () => {
  const [one, two] = await three()
  const key = keyOf(two)
  const partition = homeOf(key, PARTITIONS)
  const ask = (): Promise<Response> => fetch(`${one.url}/words/${key}/`)
  two.worker.open.delete(partition)
  await expectUnavailable(await ask(), 'moving, or being recovered')
  one.worker.group.owners.set(partition, { member: 'one', address: one.worker.listensAt })
  await expectUnavailable(await ask(), 'being recovered')
  one.worker.group.owners.set(partition, { member: 'four', address: undefined })
  await expectUnavailable(await ask(), 'serves no site')
  one.worker.group.owners.delete(partition)
  await expectUnavailable(await ask(), 'no worker that is known')
})

test('workers that take each other for the owner do not loop', async () => {
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
  await expectUnavailable(await fetch(`${one.url}/words/${key}/`), 'moving')
  await expectUnavailable(await fetch(`${third.url}/words/${key}/`), 'moving')
  await expectUnavailable(
    await fetch(`${two.url}/words/${key}/`, { headers: { 'millrace-forwarded': 'true' } }),
    'not on this worker',
  )
})

test('a partition that moves during a request is looked up again, for safe methods only', async () => {
  const group = smallGroup(1)
  const [one, two] = [await start(group, 'one', []), await start(group, 'two', [])]
  const asked = deferred<void>()
  const go = deferred<void>()
  const methods: (string | undefined)[] = []
  // The old owner: it has just lost the partition.
  const old = createServer(({ method }, response) => {
    methods.push(method)
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
    override delete = one.site.tableRoute(one.own.words, { param: 'word' }, (c) => c.text(''))
  }
  one.site.page('/write/:word/', Write)
  two.worker.open.clear()
  group.owners.set(0, { member: 'old', address })
  await expectUnavailable(await fetch(`${one.url}/write/x/`, { method: 'POST', body: 'once' }), 'moving')
  await expectUnavailable(await fetch(`${one.url}/write/x/`, { method: 'DELETE' }), 'moving')
  expect(methods).toEqual(['GET', 'POST', 'DELETE'])
})

test('a partition assigned here in the meantime is answered here', async () => {
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

test('two workers in one process answer for each other without a connection', async () => {
  const group = smallGroup(2)
  const one = await start(group, 'one', [0])
  const second = await start(group, 'second', [])
  // No site of its own, as in the test kit.
  one.workers.push(second.worker)
  second.worker.open.add(1)
  group.owners.set(1, { member: 'second', address: undefined })
  const key = ['a', 'b', 'c', 'd'].find((each) => homeOf(each, 2) === 1) ?? ''
  one.own.words.put(key, 'there')
  expect(await (await one.get(`/words/${key}/`)).json()).toEqual({ [key]: 'there', by: 'one' })
})
