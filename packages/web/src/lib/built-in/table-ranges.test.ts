import { afterEach, expect, test } from 'vitest'
import { expectUnavailable } from '../fixtures/expect-unavailable.fixture.ts'
import { ownerOf, PARTITIONS, routeProcesses } from '../fixtures/route-processes.fixture.ts'
import { homeOf } from '../fixtures/small-worker.fixture.ts'

const { three, stop } = routeProcesses()
afterEach(stop)

const KEYS = Array.from({ length: 30 }, (_, n) => `${n % 2 === 0 ? 'even' : 'odd'}-${String(n).padStart(2, '0')}`)
const SORTED = KEYS.toSorted()

interface Page {
  readonly rows: readonly { readonly key: string; readonly value: unknown }[]
  readonly cursor?: string
  readonly missing?: readonly number[]
}

async function filled(): Promise<Awaited<ReturnType<typeof three>>> {
  const processes = await three()
  for (const key of KEYS) ownerOf(processes, key).own.words.put(key, key.length)
  return processes
}

const ask = async (url: string, query: string): Promise<Page> =>
  (await (await fetch(`${url}/table/words/?${query}`)).json()) as Page
const keysOf = ({ rows }: Page): readonly string[] => rows.map(({ key }) => key)

test('a range has the rows of all workers in order, whichever worker is asked', async () => {
  for (const { url } of await filled()) {
    expect(keysOf(await ask(url, 'from='))).toEqual(SORTED)
    expect(await ask(url, 'prefix=even-0')).toEqual({
      rows: ['even-00', 'even-02', 'even-04', 'even-06', 'even-08'].map((key) => ({ key, value: 7 })),
    })
    expect(keysOf(await ask(url, 'from=even-26&to=odd-03'))).toEqual(['even-26', 'even-28', 'odd-01'])
    expect(keysOf(await ask(url, 'prefix=odd-2&reverse=1'))).toEqual(['odd-29', 'odd-27', 'odd-25', 'odd-23', 'odd-21'])
  }
})

test.each(['', '&reverse=1'])('pages follow one another by their cursors, "%s"', async (reverse) => {
  const [{ url }] = await filled()
  const found: string[] = []
  let cursor: string | undefined = undefined
  let pages = 0
  do {
    const page: Page = await ask(url, `limit=7${reverse}${cursor === undefined ? '' : `&cursor=${cursor}`}`)
    found.push(...keysOf(page))
    cursor = page.cursor
    pages++
  } while (cursor !== undefined)
  expect(found).toEqual(reverse === '' ? SORTED : SORTED.toReversed())
  expect(pages).toBe(5)
})

test('a partition that nobody answers for is 503, or is named in a partial answer', async () => {
  const [one, , last] = await filled()
  const { owners } = one.worker.group
  const evens = SORTED.filter((key) => key.startsWith('even'))
  const without = (...lost: readonly number[]) => evens.filter((key) => !lost.includes(homeOf(key, PARTITIONS)))
  // Partition 2 is moving, perhaps; 5 is where it was.
  last.worker.open.delete(2)
  await expectUnavailable(await fetch(`${one.url}/table/words/?prefix=even`), 'partition 2 of')
  const moving = await ask(one.url, 'prefix=even&partial=1')
  expect([moving.missing, keysOf(moving)]).toEqual([[2], without(2)])
  for (const partition of [2, 5]) owners.set(partition, { member: 'three', address: '127.0.0.1:9' })
  const named = await fetch(`${one.url}/table/words/?prefix=even`)
  expect([named.headers.get('millrace-error'), named.headers.get('millrace-missing')]).toEqual([
    'PARTITIONS_MISSING',
    '2,5',
  ])
  await expectUnavailable(named, 'partition 2, 5 of')
  const gone = await ask(one.url, 'prefix=even&partial=1')
  expect([gone.missing, keysOf(gone)]).toEqual([[2, 5], without(2, 5)])
})

/** All pages of a table, one after the other. */
async function allRows(url: string, table: string, limit: number): Promise<readonly Page['rows'][number][]> {
  const found: Page['rows'][number][] = []
  let cursor: string | undefined = undefined
  do {
    const query: string = cursor === undefined ? '' : `&cursor=${cursor}`
    const page = (await (await fetch(`${url}/table/${table}/?all=1&limit=${limit}${query}`)).json()) as Page
    found.push(...page.rows)
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}

test.each([3, 7, 20])(
  'all rows of a table whose keys have no order come from all workers, %i a page',
  async (limit) => {
    const processes = await three()
    // By one digit more, the order of bytes is another one than that of numbers.
    const numbers = Array.from({ length: 20 }, (_, n) => n)
    for (const n of numbers) {
      ownerOf(processes, String(n)).own.numbers.put(n, n * n)
      ownerOf(processes, JSON.stringify({ n })).own.objects.put({ n }, n + 1)
    }
    const sorted = numbers.toSorted((a, b) => (String(a) < String(b) ? -1 : 1))
    const objects = numbers.toSorted((a, b) => (`${a}}` < `${b}}` ? -1 : 1))
    for (const { url } of processes) {
      expect(await allRows(url, 'numbers', limit)).toEqual(sorted.map((n) => ({ key: n, value: n * n })))
      expect(await allRows(url, 'objects', limit)).toEqual(objects.map((n) => ({ key: { n }, value: n + 1 })))
    }
  },
)

test('the last page has no cursor, also if it is full', async () => {
  const processes = await three()
  const [{ url }] = processes
  for (const n of [1, 2]) ownerOf(processes, String(n)).own.numbers.put(n, n)
  expect(await (await fetch(`${url}/table/numbers/?all=1&limit=2`)).json()).not.toHaveProperty('cursor')
  expect(await (await fetch(`${url}/table/numbers/?all=1&limit=1`)).json()).toHaveProperty('cursor')
})

test('a key is given as JSON by programs, and is text or JSON as the table has it', async () => {
  const processes = await three()
  const [{ url }] = processes
  ownerOf(processes, '7').own.words.put('7', 'text')
  ownerOf(processes, '7').own.numbers.put(7, 'number')
  ownerOf(processes, '"7"').own.objects.put('7', 'quoted')
  const ask = async (table: string, key: string): Promise<unknown> =>
    (await fetch(`${url}/table/${table}/?jsonKey=${encodeURIComponent(key)}`)).json()
  expect(await ask('words', '"7"')).toBe('text')
  expect(await ask('numbers', '7')).toBe('number')
  expect(await ask('objects', '"7"')).toBe('quoted')
  const none = await fetch(`${url}/table/words/?jsonKey=%22none%22`)
  expect([none.status, none.headers.get('millrace-error')]).toEqual([404, 'NO_VALUE'])
  expect(await ask('words', 'none')).toEqual({ error: '?jsonKey=none is not JSON.' })
})

test('what makes no sense is 400', async () => {
  const [{ url }] = await filled()
  for (const query of ['limit=0', 'limit=many', 'limit=1001', 'all=1&prefix=a', 'all=1&cursor=x', 'all=1&cursor=abc'])
    expect((await fetch(`${url}/table/words/?${query}`)).status).toBe(400)
  expect((await fetch(`${url}/table/none/?prefix=a`)).status).toBe(404)
})
