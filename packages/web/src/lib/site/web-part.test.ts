import { nodeHttpDriver } from '@millrace/conformance'
import { deferred, isMillraceError } from '@millrace/core'
import type { WebDriver } from '@millrace/core/http'
import type { Topology } from '@millrace/worker'
import { afterEach, expect, test } from 'vitest'
import { smallSite, type SmallSite } from '../fixtures/small-site.fixture.ts'
import { webPart, type WebPart, type WebPartSettings } from './web-part.ts'

const topology: Topology = {
  topic() {},
  subscribe: () => [],
  state() {},
  order() {},
  reads() {},
  lead() {},
  beforeTask() {},
}
const open: WebPart[] = []
afterEach(async () => {
  for (const part of open.splice(0)) await part.stop()
})

function partOf(
  { site, worker, log }: SmallSite,
  settings: Partial<WebPartSettings> = {},
  driver: WebDriver = nodeHttpDriver(),
): WebPart {
  const part = webPart(
    { site, driver, worker: () => worker, log },
    { host: '127.0.0.1', port: 0, advertise: undefined, maxConnections: 1000, graceMs: 2000, ...settings },
  )
  open.push(part)
  return part
}

test('listens from its declaration on, and knows its address once started', async () => {
  const small = smallSite()
  const part = partOf(small)
  expect([part.address(), part.url()]).toEqual([undefined, undefined])
  small.worker.status = 'recovering'
  small.worker.opening = { tasks: 1, forMs: 0, isFirst: true }
  part.declare(small.worker.context, topology)
  await part.start()
  const url = part.url() ?? ''
  expect(`http://${part.address()}/`).toBe(url)
  expect((await fetch(`${url}health/live`)).status).toBe(200)
  expect((await fetch(`${url}health/ready`)).status).toBe(503)
})

test('others get the advertised address', async () => {
  const small = smallSite()
  const part = partOf(small, { advertise: 'outside.example:80' })
  part.declare(small.worker.context, topology)
  await part.start()
  expect(part.address()).toBe('outside.example:80')
})

test('a port in use fails the worker and the start', async () => {
  const [first, second] = [smallSite(), smallSite()]
  const taken = partOf(first)
  taken.declare(first.worker.context, topology)
  await taken.start()
  const part = partOf(second, { port: Number(new URL(taken.url() ?? '').port) })
  part.declare(second.worker.context, topology)
  await expect(part.start()).rejects.toEqual(expect.objectContaining({ code: 'PORT_IN_USE' }))
  expect(isMillraceError(second.worker.failure, 'PORT_IN_USE')).toBe(true)
  await part.stop()
  expect(part.address()).toBeUndefined()
})

test('stopping finishes requests in flight, and works before the start and twice', async () => {
  const small = smallSite()
  const go = deferred<void>()
  const asked = deferred<void>()
  small.site.page('/slow/', async (c) => {
    asked.resolve()
    await go.promise
    return c.text('finished')
  })
  const part = partOf(small)
  part.declare(small.worker.context, topology)
  await part.start()
  const url = part.url() ?? ''
  const answer = fetch(`${url}slow/`)
  await asked.promise
  const stopping = part.stop()
  expect(part.address()).toBeUndefined()
  go.resolve()
  expect(await (await answer).text()).toBe('finished')
  await stopping
  await part.stop()
  await expect(fetch(url)).rejects.toThrow('fetch failed')
  await partOf(smallSite()).stop()
})

test('a stop during opening closes what opens', async () => {
  const small = smallSite()
  const part = partOf(small)
  part.declare(small.worker.context, topology)
  await part.stop()
  expect(part.url()).toBeUndefined()
})

test('hostile bytes and large headers do not get past the server, and slow pages block no other', async () => {
  const small = smallSite()
  const part = partOf(small)
  part.declare(small.worker.context, topology)
  await part.start()
  const url = part.url() ?? ''
  expect((await fetch(url, { headers: { x: 'y'.repeat(17_000) } })).status).toBe(431)
  expect((await fetch(`${url}${'k'.repeat(10_000)}/`)).status).toBe(404)
  expect((await fetch(`${url}table/%ff/`)).status).toBe(400)
})
