import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const program = await bundled(new URL('./main.ts', import.meta.url))

describe('a worker inside Fastify', () => {
  const started: AppProcess[] = []
  let directory: string
  let shops: readonly { readonly process: AppProcess; readonly url: string }[]

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fastify-'))
    // One after the other: the first makes the topics.
    const both = []
    for (const _ of [1, 2]) both.push(await start())
    shops = both
  })
  afterAll(async () => {
    await Promise.all(started.map((one) => one.kill()))
    await rm(directory, { recursive: true, force: true })
  })

  async function start() {
    const process = startApp(program, [], {
      PORT: '0',
      MILLRACE_BROKER: `embedded:${directory}`,
      MILLRACE_WEB_PORT: '0',
      MILLRACE_COMMIT_INTERVAL: '50ms',
    })
    started.push(process)
    await process.said('Server listening')
    return { process, url: /Server listening at (http:\S+?)"/.exec(process.output())?.[1] ?? '' }
  }

  it('takes orders by its own routes, and answers for any customer at either process', async () => {
    const customers = Array.from({ length: 12 }, (_, n) => `customer-${n}`)
    for (const [n, customer] of customers.entries()) {
      const { url = '' } = shops[n % 2] ?? {}
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`${url}/orders`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ customer, amount: n + 1 }),
      })
      expect(answer.status).toBe(202)
    }
    for (const { url } of shops)
      for (const [n, customer] of customers.entries())
        await expect
          .poll(async () => (await fetch(`${url}/stream/totals/${customer}/`)).json(), { timeout: 20_000 })
          .toEqual({ customer, total: n + 1 })
    const refused = await fetch(`${shops[0]?.url}/orders`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    expect(refused.status).toBe(400)
  })

  it('is ready with its worker, and shows the site to this machine', async () => {
    const [{ url } = { url: '' }] = shops
    expect((await fetch(`${url}/ready`)).status).toBe(200)
    expect((await fetch(`${url}/stream/health/live`)).status).toBe(200)
    expect(await (await fetch(`${url}/stream/stats`)).json()).toMatchObject({ app: 'shop', status: 'running' })
    const proxied = await fetch(`${url}/stream/stats`, { headers: { 'x-forwarded-for': '203.0.113.7' } })
    expect(proxied.status).toBe(403)
    expect((await fetch(`${url}/stream/none/`)).status).toBe(404)
  })

  // A server that waits for idle connections takes more than a minute.
  it(
    'passes bodies on, and ends watches when it stops: server and worker together, with 0',
    { timeout: 20_000 },
    async () => {
      const [{ process, url } = { process: undefined, url: '' }] = shops
      const action = await fetch(`${url}/stream/topics/orders/send/`, {
        method: 'POST',
        headers: { 'millrace-action': 'test', 'content-type': 'application/json' },
        body: JSON.stringify({ key: 'late', value: { customer: 'late', amount: 5 } }),
      })
      expect([action.status, await action.json()]).toEqual([200, expect.objectContaining({ topic: 'orders' })])
      const watch = await fetch(`${url}/stream/table/totals/late/watch`)
      const text = watch.text()
      expect(await process?.stop()).toBe(0)
      expect(await text).toContain('data: {"key":"late"')
      // Lines of both are in one log.
      const lines =
        process
          ?.stdout()
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)) ?? []
      expect(lines.every(({ level, time }) => typeof level === 'number' && typeof time === 'number')).toBe(true)
      expect(lines.some(({ part }) => part === 'worker')).toBe(true)
      expect(lines.some(({ reqId }) => reqId !== undefined)).toBe(true)
    },
  )
})
