import { createServer } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { keyOf, PARTITIONS, routeProcesses, type Running } from '../fixtures/route-processes.fixture.ts'
import { smallGroup } from '../fixtures/small-site.fixture.ts'

const { start, listen, stop } = routeProcesses()
afterEach(stop)

async function two(): Promise<readonly [Running, Running]> {
  const group = smallGroup(PARTITIONS)
  return [
    await start(group, 'one', [0, 1, 2], { adminPort: 0 }),
    await start(group, 'two', [3, 4, 5], { adminPort: 0 }),
  ]
}

const statusAt = async (url: string, init?: NonNullable<Parameters<typeof fetch>[1]>): Promise<number> =>
  (await fetch(url, init)).status

test('with an admin port, built-in pages are only there; the app’s pages and health are on both', async () => {
  const [{ site, url, publicUrl, web }] = await two()
  expect(publicUrl).not.toBe(url)
  expect(web.address()).toBe(new URL(url).host)
  const builtIn = ['/', '/stats', '/metrics', '/table/', '/table/words/', '/jobs/', '/sign-in/', '/graph/', '/router/']
  for (const path of builtIn)
    expect([path, await statusAt(publicUrl + path), await statusAt(url + path)]).toEqual([path, 404, 200])
  const action = { method: 'POST', headers: { 'millrace-action': 'test' } }
  const message = { error: expect.stringContaining('There is no page /jobs/x/run/') }
  expect(await (await fetch(`${publicUrl}/jobs/x/run/`, action)).json()).toEqual(message)
  expect(await statusAt(`${publicUrl}/stats`, { method: 'OPTIONS' })).toBe(404)
  site.page('/', (c) => c.text('mine'))
  for (const path of ['/', '/health/live', '/health/ready'])
    expect([path, await statusAt(publicUrl + path), await statusAt(url + path)]).toEqual([path, 200, 200])
})

test('workers ask one another at the admin port, for the app’s pages and the built-in ones', async () => {
  const [one, other] = await two()
  const key = keyOf(other)
  other.own.words.put(key, 'there')
  expect(await (await fetch(`${one.publicUrl}/words/${key}/`)).json()).toEqual({ [key]: 'there', by: 'two' })
  expect(await (await fetch(`${one.url}/table/words/${key}/`)).json()).toBe('there')
  expect(await (await fetch(`${one.url}/router/words/${key}/`)).json()).toMatchObject({
    address: new URL(other.url).host,
  })
})

test('the error for an admin port in use names its setting, and the other port is freed', async () => {
  const taken = Number((await listen(createServer())).split(':')[1])
  const free = createServer()
  const port = Number((await listen(free)).split(':')[1])
  await new Promise((resolve) => free.close(resolve))
  const started = start(smallGroup(1), 'one', [0], { adminPort: taken, port })
  await expect(started).rejects.toThrow(new RegExp(`${taken} .*web\\.adminPort`))
  await listenAt(port)
})

/** Rejects if the port is in use. */
async function listenAt(port: number): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  await new Promise((resolve) => server.close(resolve))
}
