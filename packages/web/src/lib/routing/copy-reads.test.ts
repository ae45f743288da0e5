import type { StateCopy } from '@millrace/worker'
import { afterEach, expect, test } from 'vitest'
import { keyOf, ownerOf, PARTITIONS, routeProcesses, type Running } from '../fixtures/route-processes.fixture.ts'
import { homeOf } from '../fixtures/small-worker.fixture.ts'

const { three, stop } = routeProcesses()
afterEach(stop)

const copy = (value: string | undefined, lag = 0): StateCopy => ({
  rows: { get: () => (value === undefined ? undefined : Buffer.from(value)) },
  lag,
})

/** `owner` has the key; the two others do not. */
async function world(): Promise<{ one: Running; two: Running; owner: Running; key: string; partition: number }> {
  const [owner, one, two] = await three()
  const key = keyOf(owner)
  owner.own.words.put(key, 'of the owner')
  return { one, two, owner, key, partition: homeOf(key, PARTITIONS) }
}

const read = async ({ url }: Running, key: string, query = 'read=standby') => {
  const answer = await fetch(`${url}/table/words/${key}/?${query}`)
  const body: unknown = await answer.json()
  return { status: answer.status, lag: answer.headers.get('millrace-lag'), body }
}

test('the owner that is asked answers itself, and another worker from its copy, which may lack something', async () => {
  const { one, two, owner, key, partition } = await world()
  one.worker.copies.set(partition, copy('copied', 7))
  expect(await read(owner, key)).toEqual({ status: 200, lag: null, body: 'of the owner' })
  expect(await read(one, key)).toEqual({ status: 200, lag: '7', body: 'copied' })
  expect(await read(one, key, 'read=standby&maxLag=7')).toMatchObject({ body: 'copied' })
  expect(await read(one, key, 'read=standby&maxLag=6')).toEqual({ status: 200, lag: null, body: 'of the owner' })
  // Who has no copy asks the owner first.
  expect(await read(two, key)).toEqual({ status: 200, lag: null, body: 'of the owner' })
  // Other reads never see copies.
  expect(await read(one, key, 'read=committed')).toMatchObject({ body: 'of the owner' })
  one.worker.copies.set(partition, copy(undefined, 1))
  expect(await read(one, key)).toMatchObject({ status: 404, lag: '1' })
})

test('while the owner does not answer, a copy on any worker does', async () => {
  const { one, two, owner, key, partition } = await world()
  two.worker.copies.set(partition, copy('copied', 3))
  await owner.stop()
  expect(await read(one, key)).toEqual({ status: 200, lag: '3', body: 'copied' })
  expect(await read(one, key, 'read=standby&maxLag=2')).toMatchObject({ status: 503 })
  expect((await read(one, key, 'read=finished')).status).toBe(503)
  two.worker.copies.clear()
  expect((await read(one, key)).status).toBe(503)
})

test.each([
  ['read=standby&maxLag=-1', /maxLag=-1/],
  ['read=standby&maxLag=few', /number of changelog offsets/],
  ['read=committed&maxLag=1', /is for .read=standby/],
  ['read=newest', /finished, committed or standby/],
  ['read=standby&after=words/0@1', /warm copies/],
])('%s is refused with what to do', async (query, said) => {
  const { one, key } = await world()
  expect(await read(one, key, query)).toMatchObject({ status: 400, body: { error: expect.stringMatching(said) } })
})

test('ranges are not read from copies', async () => {
  const [one] = await three()
  expect((await fetch(`${one.url}/table/words/?prefix=a&read=standby`)).status).toBe(400)
  expect(ownerOf([one], keyOf(one))).toBe(one)
})
