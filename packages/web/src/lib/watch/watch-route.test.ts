import { EventReader } from '@millrace/conformance'
import { afterEach, expect, test } from 'vitest'
import { expectUnavailable } from '../fixtures/expect-unavailable.fixture.ts'
import { keyOf, ownerOf, PARTITIONS, routeProcesses, type Running } from '../fixtures/route-processes.fixture.ts'
import { homeOf } from '../fixtures/small-worker.fixture.ts'

const { three, stop } = routeProcesses()
afterEach(stop)

async function watch({ url }: Pick<Running, 'url'>, path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/table/words/${path}`, { headers })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  return new EventReader(response)
}

/** Moves a key's partition, with what `to` has of it. */
function move(key: string, from: Running, to: Running): void {
  const partition = homeOf(key, PARTITIONS)
  from.worker.open.delete(partition)
  to.worker.open.add(partition)
  from.worker.group.owners.set(partition, { member: to.worker.id, address: to.worker.listensAt })
  from.own.words.changed()
}

const brief = (events: readonly { readonly event: string; readonly data: unknown }[]): readonly unknown[] =>
  events.map(({ event, data }) => [event, data])

test('a key is watched on the worker that has it, whichever is asked, and followed when it moves', async () => {
  const processes = await three()
  const [one, two, last] = processes
  const key = keyOf(two)
  const readers = await Promise.all(processes.map((process) => watch(process, `${key}/watch`)))
  for (const reader of readers) expect(brief(await reader.take(1))).toEqual([['delete', { key }]])
  two.own.words.put(key, 1)
  for (const reader of readers) expect(brief(await reader.take(1))).toEqual([['value', { key, value: 1 }]])
  last.own.words.put(key, 1)
  move(key, two, last)
  last.own.words.put(key, 2)
  for (const reader of readers) {
    // The value that it had is not repeated.
    expect(brief(await reader.take(1))).toEqual([['value', { key, value: 2 }]])
    expect(reader.retryMs).toBe(1000)
  }
  move(key, last, one)
  one.own.words.put(key, 3)
  for (const reader of readers) expect(brief(await reader.take(1))).toEqual([['value', { key, value: 3 }]])
  for (const reader of readers) await reader.close()
  for (const { own } of processes) await expect.poll(() => own.words.watching).toBe(0)
})

test('the last id of a client says which value it has', async () => {
  const [one, two] = await three()
  const key = keyOf(two)
  two.own.words.put(key, 'x')
  const first = await watch(one, `${key}/watch`)
  await first.take(1)
  await first.close()
  const again = await watch(one, `${key}/watch`, { 'last-event-id': first.id })
  const byQuery = await watch(two, `watch?key=${key}&lastEventId=${first.id}`)
  two.own.words.put(key, 'y')
  for (const reader of [again, byQuery]) expect(brief(await reader.take(1))).toEqual([['value', { key, value: 'y' }]])
  const late = await watch(one, `${key}/watch`, { 'last-event-id': first.id })
  expect(brief(await late.take(1))).toEqual([['value', { key, value: 'y' }]])
})

test('a range is watched on all workers, and comes again when a partition moves', async () => {
  const processes = await three()
  const [one, two, last] = processes
  const keys = ['pa', 'pb', 'pc', 'pd', 'pe', 'pf']
  for (const key of keys) ownerOf(processes, key).own.words.put(key, 0)
  const reader = await watch(one, 'watch?prefix=p')
  const rows = (value: number): readonly unknown[] => keys.map((key) => ['value', { key, value }])
  const sorted = (events: readonly unknown[]): readonly string[] => events.map((each) => JSON.stringify(each)).sort()
  const state = async (value: number): Promise<void> => {
    const seen = brief(await reader.take(keys.length + 2))
    expect(seen[0]).toEqual(['state', {}])
    expect(sorted(seen.slice(1, -1))).toEqual(sorted(rows(value)))
    expect(seen.at(-1)).toEqual(['ready', {}])
  }
  await state(0)
  for (const key of keys) ownerOf(processes, key).own.words.put(key, 1)
  expect(sorted(brief(await reader.take(keys.length)))).toEqual(sorted(rows(1)))
  const moving = keys.find((key) => ownerOf(processes, key) === two) ?? ''
  for (const key of keys) if (ownerOf(processes, key) === two) last.own.words.put(key, 1)
  for (const key of keys) if (ownerOf(processes, key) === two && key !== moving) two.own.words.put(key, 1)
  move(moving, two, last)
  await state(1)
  const owner = ownerOf(processes, moving)
  expect(owner).toBe(last)
  owner.own.words.remove(moving)
  expect(brief(await reader.take(1))).toEqual([['delete', { key: moving }]])
  await reader.close()
  for (const { own } of processes) await expect.poll(() => own.words.watching).toBe(0)
})

test('a watch waits for a partition that nobody has, and says so in a comment', async () => {
  const [one, two] = await three()
  const key = keyOf(two)
  two.worker.open.delete(homeOf(key, PARTITIONS))
  const reader = await watch(one, `${key}/watch`)
  const first = reader.take(1)
  await expect.poll(() => reader.comments.join()).toContain('does not answer')
  two.worker.open.add(homeOf(key, PARTITIONS))
  two.own.words.put(key, 'here')
  expect(brief(await first)).toEqual([['value', { key, value: 'here' }]])
})

test('watches are bounded, and end when the worker stops', async () => {
  const [one] = await three({ maxWatches: 2 })
  const readers = [await watch(one, 'a/watch'), await watch(one, 'watch?prefix=a')]
  await expectUnavailable(await fetch(`${one.url}/table/words/b/watch`), 'web.maxWatches')
  await readers[0]?.close()
  await expect.poll(async () => (await fetch(`${one.url}/table/words/b/watch`, { method: 'HEAD' })).status).toBe(200)
  const [, left] = readers
  const rest = (async () => {
    while ((await left?.next()) !== undefined);
    return 'ended'
  })()
  await one.web.stop()
  expect(await rest).toBe('ended')
  expect(one.own.words.watching).toBe(0)
})

test('what makes no sense is refused', async () => {
  const [one] = await three()
  const status = async (path: string): Promise<number> => (await fetch(`${one.url}/table/${path}`)).status
  expect(await status('numbers/many/watch')).toBe(400)
  expect(await status('none/a/watch')).toBe(404)
  expect(await status('none/watch')).toBe(404)
  expect(await status('words/a/watch?at=soon')).toBe(400)
  const elsewhere = { 'x-forwarded-for': '203.0.113.7' }
  expect((await fetch(`${one.url}/table/words/a/watch`, { headers: elsewhere })).status).toBe(403)
})
