import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '@millrace/app'
import { eventually, nodeHttpDriver } from '@millrace/conformance'
import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const appFile = await bundled(new URL('./app.ts', import.meta.url))

describe('pages, as worker processes', () => {
  const started: AppProcess[] = []
  /** Another service, which answers when it is told to. */
  const weather = createServer((_request, response) => void waiting.push(() => response.end('sunny')))
  const waiting: (() => void)[] = []
  let directory: string
  let worker: AppProcess

  const start = (file: URL, args: readonly string[], env: Readonly<Record<string, string>> = {}): AppProcess => {
    const one = startApp(file, args, { MILLRACE_BROKER: `embedded:${directory}`, ...env })
    started.push(one)
    return one
  }
  const ask = async (path: string, method = 'GET', site = worker.site()): Promise<unknown> =>
    (await fetch(new URL(path, site), { method })).json()

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pages-'))
    weather.listen(0, '127.0.0.1')
    await once(weather, 'listening')
    const address = weather.address()
    const port = typeof address === 'object' ? address?.port : undefined
    worker = start(appFile, ['worker', '--web-port', '0'], { WEATHER_SERVICE: `http://127.0.0.1:${port}/` })
    await worker.said('Worker is ready')
  })
  afterAll(async () => {
    await Promise.all(started.map((one) => one.kill()))
    weather.closeAllConnections()
    weather.close()
    await rm(directory, { recursive: true, force: true })
  })

  it('Every worker serves a web site, on port 6066 unless it is told otherwise', async () => {
    expect((await fetch(new URL('/health/ready', worker.site()))).status).toBe(200)
    // Somebody else may have the port on this machine: then that is what it says.
    const other = start(appFile, ['worker', '-l', 'info'], { MILLRACE_WEB_HOST: '127.0.0.1' })
    const outcome = await eventually(
      () =>
        (other.output().includes('Worker is ready') && 'ready') || (other.output().includes('PORT_IN_USE') && 'used'),
      { what: 'a worker to be ready or to find its port in use' },
    )
    if (outcome === 'ready') {
      expect(other.site()).toBe('http://127.0.0.1:6066/')
      expect(await other.stop()).toBe(0)
    } else {
      expect(await other.exited).toBe(1)
      expect(other.output()).toMatch(/6066.*web\.port/s)
    }
  })

  it('A browser that is pointed at it is shown statistics of the running instance', async () => {
    const page = await fetch(worker.site(), { headers: { accept: 'text/html' } })
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(await page.text()).toContain('type="module"')
    expect(await ask('/stats')).toMatchObject({ app: 'pages', status: 'running', worker: { pid: worker.pid } })
  })

  it('A page returns a JSON structure, and counts in memory until the worker restarts', async () => {
    expect([await ask('/count/'), await ask('/count/')]).toEqual([{ count: 1 }, { count: 2 }])
    const restarted = start(appFile, ['worker', '--web-port', '0'])
    await restarted.said('Worker is ready')
    expect(await ask('/count/', 'GET', restarted.site())).toEqual({ count: 1 })
    expect(await restarted.stop()).toBe(0)
  })

  it('A worker has any number of views, and one that waits for another service holds up none of them', async () => {
    const pages = ((await ask('/')) as { pages: { path: string; builtIn: boolean }[] }).pages
    expect(pages.filter(({ builtIn }) => !builtIn).map(({ path }) => path)).toEqual([
      '/count/',
      '/counter/',
      '/weather/',
    ])
    const slow = ask('/weather/')
    await eventually(() => waiting.length === 1, { what: 'the page to ask the service' })
    expect(await ask('/counter/')).toEqual({ count: 0 })
    waiting[0]?.()
    expect(await slow).toEqual({ weather: 'sunny' })
  })

  it('A class view answers the verbs that it has', async () => {
    expect([await ask('/counter/?n=5', 'POST'), await ask('/counter/'), await ask('/counter/', 'DELETE')]).toEqual([
      { count: 5 },
      { count: 5 },
      { count: 0 },
    ])
    const refused = await fetch(new URL('/counter/', worker.site()), { method: 'PUT' })
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST, DELETE, OPTIONS'])
  })

  it('A web application may keep its own server, with the pages of the app in its site', async () => {
    const server = await bundled(new URL('./own-server.ts', import.meta.url))
    const shop = start(server, [], { PORT: '0', MILLRACE_WEB_ENABLED: 'false' })
    await shop.said('The shop is open')
    const site = /http:\S+/.exec(shop.stdout())?.[0] ?? ''
    expect(await (await fetch(new URL('/shop/', site))).text()).toBe('a page of the shop')
    expect(await ask('/count/', 'GET', site)).toEqual({ count: 1 })
    expect(await ask('/counter/?n=2', 'POST', site)).toEqual({ count: 2 })
    expect(await ask('/stats', 'GET', site)).toMatchObject({ app: 'pages', status: 'running' })
    expect(await shop.stop()).toBe(0)
  })

  it('The server under the site can be swapped for a driver of your own', async () => {
    let served = 0
    const app = createApp({
      id: 'own-driver',
      broker: 'memory:',
      web: {
        host: '127.0.0.1',
        port: 0,
        driver: () => {
          const driver = nodeHttpDriver()
          return {
            name: 'counting',
            serve: (options) =>
              driver.serve({ ...options, fetch: (request, peer) => (served++, options.fetch(request, peer)) }),
          }
        },
      },
    })
    app.page('/hello/', (c) => c.text('hello'))
    await app.start()
    try {
      expect(await (await fetch(new URL('/hello/', app.web.url))).text()).toBe('hello')
      expect(served).toBe(1)
    } finally {
      await app.stop()
    }
  })

  it('goes on when clients break off in the middle of their answers', async () => {
    const { port } = new URL(worker.site())
    for (let round = 0; round < 30; round++) {
      const client = connect(Number(port), '127.0.0.1')
      client.on('error', () => {})
      client.write('GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(40))
      // Its side of the connection is closed with answers unread: what the worker writes from then on is refused.
      client.once('readable', () => client.destroy())
      await once(client, 'close')
    }
    expect(await ask('/stats')).toMatchObject({ status: 'running' })
  })

  it('A stop comes to its end with an event, a page and jobs that never come to theirs', async () => {
    const hanging = await bundled(new URL('./hanging.fixture.ts', import.meta.url))
    const hung = start(hanging, ['worker', '--web-port', '0'])
    await hung.said('Worker is ready')
    const sent = start(hanging, ['send', 'orders', 'o-1'])
    expect(await sent.exited).toBe(0)
    await hung.said('Order o-1 is in flight')
    const request = fetch(new URL('/hung/', hung.site())).then(
      () => 'answered',
      () => 'cut off',
    )
    await hung.said('The page is asked')
    // It would not end by itself: timers of the app keep it alive.
    expect(await hung.stop()).toBe(0)
    expect(await request).toBe('cut off')
    expect(hung.output()).toContain('orders/')
  })

  it('stops in order', async () => expect(await worker.stop()).toBe(0))
})
