import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const program = await bundled(new URL('./main.ts', import.meta.url))

const JSON_TYPE = { 'content-type': 'application/json' }

describe('a worker inside Nest', () => {
  let directory: string
  let shop: AppProcess
  let url: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'nest-'))
    shop = startApp(program, [], {
      PORT: '0',
      MILLRACE_BROKER: `embedded:${directory}`,
      MILLRACE_WEB_PORT: '0',
      MILLRACE_COMMIT_INTERVAL: '50ms',
    })
    await shop.said('The shop is open')
    url = /The shop is open at (http:[^"]+)/.exec(shop.output())?.[1]?.replace('[::1]', '127.0.0.1') ?? ''
  })
  afterAll(async () => {
    await shop.kill()
    await rm(directory, { recursive: true, force: true })
  })

  it('takes orders by a controller, hands them to a service, and answers by a page of the worker', async () => {
    const body = JSON.stringify({ customer: 'ann', amount: 700 })
    for (const _ of [1, 2])
      expect((await fetch(`${url}/orders`, { method: 'POST', headers: JSON_TYPE, body })).status).toBe(202)
    await expect
      .poll(async () => (await fetch(`${url}/stream/totals/ann/`)).json(), { timeout: 20_000 })
      .toEqual({ customer: 'ann', total: 1400 })
    await shop.said('ann has bought for 700 cents.')
    expect((await fetch(`${url}/orders`, { method: 'POST', headers: JSON_TYPE, body: '{}' })).status).toBe(400)
  })

  it('is ready with its worker, and shows the site to this machine', async () => {
    expect(await (await fetch(`${url}/ready`)).json()).toEqual({ ready: true })
    expect((await fetch(`${url}/stream/health/live`)).status).toBe(200)
    expect(await (await fetch(`${url}/stream/stats`)).json()).toMatchObject({ app: 'shop', status: 'running' })
    const proxied = await fetch(`${url}/stream/stats`, { headers: { 'x-forwarded-for': '203.0.113.7' } })
    expect(proxied.status).toBe(403)
  })

  // A server that waits for idle connections takes longer.
  it('passes bodies on, and ends watches when it stops: server and worker together', { timeout: 20_000 }, async () => {
    const action = await fetch(`${url}/stream/topics/orders/send/`, {
      method: 'POST',
      headers: { ...JSON_TYPE, 'millrace-action': 'test' },
      body: JSON.stringify({ key: 'late', value: { customer: 'late', amount: 5 } }),
    })
    expect([action.status, await action.json()]).toEqual([200, expect.objectContaining({ topic: 'orders' })])
    const watch = await fetch(`${url}/stream/table/totals/late/watch`)
    const text = watch.text()
    // Nest ends its process by the signal that it has got.
    expect(await shop.stop()).toBe(null)
    expect(shop.output()).toContain('The worker has stopped.')
    expect(await text).toContain('data: {"key":"late"')
    // Lines of both are in one log.
    const contexts = shop
      .output()
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line).context)
    expect(contexts).toEqual(expect.arrayContaining(['Millrace', 'NestApplication', 'Shop']))
  })
})
