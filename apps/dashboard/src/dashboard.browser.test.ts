import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeInChromium } from './chromium.ts'

const appFile = await bundled(new URL('./app.ts', import.meta.url))
const hostileFile = await bundled(new URL('./hostile-app.ts', import.meta.url))

interface Site extends AppProcess {
  readonly url: string
}

/** What the tests read of `/stats`. */
interface Stats {
  readonly worker: { readonly id: string; readonly member: string }
  readonly agents: Readonly<
    Record<string, { readonly received: number; readonly lag: number; readonly deadLettered: number }>
  >
  readonly tables: Readonly<Record<string, { readonly rows: number; readonly partitions: readonly number[] }>>
}

describeInChromium('the page at /', (open) => {
  let directory: string
  const running = new Set<AppProcess>()

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dashboard-'))
  })
  afterAll(async () => {
    await Promise.all([...running].map((site) => site.stop()))
    await rm(directory, { recursive: true, force: true })
  })

  const start = async (
    log: string,
    env: Readonly<Record<string, string>> = {},
    program: URL = appFile,
  ): Promise<Site> => {
    const site = startApp(program, ['worker'], {
      ...brokerOf(log),
      MILLRACE_WEB_HOST: '127.0.0.1',
      MILLRACE_WEB_PORT: '0',
      ...env,
    })
    running.add(site)
    await site.said('The site is served.')
    return { ...site, url: site.site() }
  }
  const end = async (site: AppProcess, how: 'stop' | 'kill' = 'stop'): Promise<void> => {
    running.delete(site)
    await site[how]()
  }
  const brokerOf = (log: string): Record<string, string> => ({ MILLRACE_BROKER: `embedded:${join(directory, log)}` })
  const command = async (log: string, ...args: readonly string[]): Promise<void> => {
    const run = startApp(appFile, args, brokerOf(log))
    expect(await run.exited, run.output()).toBe(0)
  }

  it('shows the figures of the API and every node, counts, and what is under a key', async () => {
    const site = await start('one')
    await command('one', 'visit', '5000')
    await until(async () => (await stats(site)).agents['count-visits']?.received === 5000)
    await using opened = await open(site.url, { viewport: { width: 1280, height: 800 } })
    const { page, wrong } = opened
    await page.getByText('live', { exact: true }).waitFor()
    expect(await page.title()).toBe('dashboard · Millrace')
    expect(await page.locator('#status').textContent()).toBe('running')

    const { agents, tables } = await stats(site)
    expect(agents['count-visits']).toMatchObject({ received: 5000, lag: 0 })
    const row = page.locator('#agents tr', { hasText: 'count-visits' })
    await row.locator('[data-label=Received][title="5,000"]').waitFor()
    await page.locator('#tables tr', { hasText: 'visits_by_page' }).locator('[data-label=Rows][title="50"]').waitFor()
    expect(tables['visits_by_page']?.rows).toBe(50)
    await page.locator('#figure-lag[title="0 records behind"]').waitFor()

    const graph: { nodes: readonly { id: string }[] } = JSON.parse(await text(`${site.url}graph/`))
    expect(graph.nodes.map(({ id }) => id)).toEqual(
      expect.arrayContaining([
        'topic:visits',
        'topic:slow-visits',
        'agent:count-visits',
        'agent:find-slow',
        'table:visits_by_page',
      ]),
    )
    const drawn = await page
      .locator('#flow [data-id]')
      .evaluateAll((nodes) => nodes.map((node) => node.getAttribute('data-id')))
    expect(drawn).toEqual(expect.arrayContaining(graph.nodes.map(({ id }) => id)))

    await page.locator('#flow [data-id="table:visits_by_page"]').click()
    expect(await page.locator('#agents tbody tr').count()).toBe(1)
    expect(page.url()).toContain('node=table')
    await page.getByRole('button', { name: 'Show all' }).click()
    expect(await page.locator('#agents tbody tr').count()).toBe(2)

    await page.locator('#lookup-key').fill('/page-7')
    await page.getByRole('button', { name: 'Get' }).click()
    await page.locator('#lookup-answer pre', { hasText: '100' }).waitFor()
    await page.locator('#lookup-key').fill('<img src=x onerror=alert(1)>')
    await page.getByRole('button', { name: 'Get' }).click()
    await page.locator('#lookup-answer pre', { hasText: /^0$/ }).waitFor()
    expect(await page.locator('#lookup-answer img').count()).toBe(0)
    expect(await page.locator('#figures canvas').count()).toBe(5)

    // What was not found is an answer like others to the page, but the browser notes it.
    expect(wrong.filter((line) => !line.includes('404'))).toEqual([])
    await end(site)
  })

  it('lets a page of its own use the client of other programs', async () => {
    const site = await start('one')
    await using opened = await open(site.url)
    // As a page's bundler makes it: of what browsers have alone.
    const built = await build({
      entryPoints: [fileURLToPath(import.meta.resolve('@millrace/http-client'))],
      bundle: true,
      write: false,
      platform: 'browser',
      format: 'iife',
      globalName: 'millrace',
    })
    const asked = `(async () => {
      const table = millrace.createClient(location.href).table('visits_by_page')
      const rows = []
      for await (const row of table.prefix('/page-1', { pageSize: 5 })) rows.push(row)
      for await (const watched of table.watch('/page-7')) return { rows, watched, got: await table.get('/page-7') }
    })()`
    const pages = ['/page-1', ...Array.from({ length: 10 }, (_, n) => `/page-1${n}`)]
    expect(await opened.page.evaluate(`${built.outputFiles[0]?.text}\n${asked}`)).toEqual({
      rows: pages.map((page) => [page, 100]),
      watched: 100,
      got: 100,
    })
    await end(site)
  })

  it('runs and pauses jobs, and shows, opens and replays dead letters', async () => {
    const site = await start('letters')
    await command('letters', 'break')
    await until(async () => (await stats(site)).agents['find-slow']?.deadLettered === 1)
    await using opened = await open(site.url)
    const { page, wrong } = opened
    const job = page.locator('#jobs tr', { hasText: 'everyEvening' })
    await job.getByRole('button', { name: 'Run now' }).click()
    await page.locator('#jobs-note', { hasText: 'everyEvening: done' }).waitFor()
    await page.locator('#jobs tr', { hasText: 'rememberTheTime' }).getByRole('button', { name: 'Pause' }).click()
    await page.locator('#jobs tr', { hasText: 'rememberTheTime' }).getByRole('button', { name: 'Resume' }).waitFor()

    await page.locator('#letters summary', { hasText: 'Nobody knows how long /broken took.' }).click()
    await page.locator('.letter-body pre', { hasText: '"page": "/broken"' }).waitFor()
    await page.getByRole('button', { name: 'Replay this one' }).click()
    await page.locator('#letters-note', { hasText: '1 record sent back to find-slow' }).waitFor()
    expect(wrong).toEqual([])
    await end(site)
  })

  it('shows the newest records of a topic, sends one, and says beside the field what is wrong', async () => {
    const site = await start('records')
    await using opened = await open(site.url)
    const { page, wrong } = opened
    await page.locator('#topic').selectOption('visits')
    await page.locator('#send-value').fill('{ "page": "/new", ')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.locator('#send-value-error', { hasText: 'This is no JSON' }).waitFor()
    expect(await page.locator('#send-value').getAttribute('aria-invalid')).toBe('true')
    await page.locator('#send-value').fill('{ "page": "/new", "ms": "long" }')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.locator('#send-value-error', { hasText: 'ms' }).waitFor()
    const attack = '<img src=x onerror=alert(1)>'
    await page.locator('#send-key').fill(attack)
    await page.locator('#send-value').fill(JSON.stringify({ page: attack, ms: 950 }))
    await page.getByRole('button', { name: 'Send' }).click()
    await page.locator('#topics-note', { hasText: /Sent: visits\/\d at offset 0/ }).waitFor()
    expect(await page.locator('#send-value-error').isVisible()).toBe(false)
    await page.locator('#records td', { hasText: `"page":"${attack}"` }).waitFor()
    expect(await page.locator('#records img').count()).toBe(0)
    await until(async () => (await stats(site)).agents['count-visits']?.received === 1)
    await page.locator('#topic').selectOption('slow-visits')
    await page.getByRole('button', { name: 'Show records' }).click()
    await page.locator('#records td', { hasText: '"ms":950' }).waitFor()
    // A refused record is an answer like others to the page, but the browser notes it.
    expect(wrong.filter((line) => !line.includes('400'))).toEqual([])
    await end(site)
  })

  it('says which event holds a window, and draws the windows of a key', async () => {
    const site = await start('hang')
    await command('hang', 'hang')
    await until(async () => (await stats(site)).agents['count-visits']?.received === 11)
    await using opened = await open(site.url)
    const { page, wrong } = opened
    const row = page.locator('#time tr', { hasText: 'minutes' })
    await row
      .locator('[data-label="Held by"]', { hasText: 'agent count-visits has not finished event visits/' })
      .waitFor()
    await page.locator('#lookup-table').selectOption('minutes')
    await page.locator('#lookup-key').fill('/page-1')
    await page.getByRole('button', { name: 'Get' }).click()
    const bars = page.locator('#lookup-answer svg rect')
    await bars.first().waitFor()
    expect(await bars.count()).toBe(4)
    const windows: readonly { value: number }[] = JSON.parse(await text(`${site.url}table/minutes/?key=/page-1`))
    expect(windows.map(({ value }) => value)).toEqual([1, 2, 3, 4])
    await bars.last().hover()
    await page.locator('.through-time p', { hasText: ': 4' }).first().waitFor()
    expect(wrong).toEqual([])
    await end(site, 'kill')
  })

  it('shows names, helps, keys, values, headers and errors of a stranger as text, and nothing else', async () => {
    const attack = startApp(hostileFile, ['attack'], brokerOf('hostile'))
    expect(await attack.exited, attack.output()).toBe(0)
    const site = await start('hostile', {}, hostileFile)
    await until(async () => (await stats(site)).agents['constructor']?.deadLettered === 9)
    for (const agent of ['__proto__', 'constructor']) {
      const { agents } = await stats(site)
      expect(Object.hasOwn(agents, agent) && agents[agent]?.received, agent).toBe(9)
    }
    await using opened = await open(`${site.url}?of=app`)
    const { page, wrong } = opened
    const untouched = await (await fetch(site.url, { headers: { accept: 'text/html' } })).text()
    await page.locator('#letters summary').first().click()
    await page.locator('.letter-body pre').first().waitFor()
    await page.locator('#topic').selectOption('lures')
    await page.getByRole('button', { name: 'Show records' }).click()
    await page.locator('#records td', { hasText: '<img src=x' }).first().waitFor()
    await page.locator('#jobs').getByRole('button', { name: 'Run now' }).click()
    await page.locator('#jobs-note', { hasText: 'failed' }).waitFor()
    await page.locator('#problems', { hasText: 'cron job "constructor"' }).waitFor()
    await page.locator('#lookup-table').selectOption('__proto__')
    await page.locator('#lookup-key').fill('<style>body { display: none }</style>')
    await page.getByRole('button', { name: 'Get' }).click()
    await page.locator('#lookup-answer pre', { hasText: 'window.lured' }).waitFor()
    await page.locator('#lookup-table').selectOption('valueOf')
    await page.getByRole('button', { name: 'Get' }).click()
    await page.locator('#lookup-answer svg rect').first().waitFor()
    const found = await page.evaluate(() => ({
      isLured: 'lured' in window,
      scripts: document.scripts.length,
      images: document.images.length,
      ownStyles: document.querySelectorAll('body style').length,
      active: [...document.querySelectorAll('*')].flatMap((node) =>
        [...node.attributes].filter(({ name }) => name.startsWith('on')).map(({ name }) => name),
      ),
      links: [...document.links].filter(({ protocol }) => !protocol.startsWith('http')).length,
      // Turned text, which reads as another than it is.
      turned: /[\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText),
    }))
    expect(found).toEqual({
      isLured: false,
      scripts: untouched.match(/<script/g)?.length,
      images: untouched.match(/<img/g)?.length,
      ownStyles: 0,
      active: [],
      links: 0,
      turned: false,
    })
    await page
      .locator('#records td', { hasText: String.raw`\u202eevil\u2066` })
      .first()
      .waitFor()
    expect(wrong).toEqual([])
    await end(site)
  })

  it('says that the connection is lost, and is back by itself with its history', async () => {
    const site = await start('lost', { MILLRACE_WEB_PORT: String(await freePort()) })
    await using opened = await open(site.url)
    const { page } = opened
    await page.getByText('live', { exact: true }).waitFor()
    await end(site, 'kill')
    await page.getByText('connection lost, trying again …').waitFor()
    const again = await start('lost', { MILLRACE_WEB_PORT: new URL(site.url).port })
    await page.getByText('live', { exact: true }).waitFor()
    await end(again)
  })

  it('asks the worker that has a key, and shows a whole app and who does not answer', async () => {
    const sites = [await start('two'), await start('two')] as const
    await until(async () => {
      const has = await Promise.all(
        sites.map(async (site) => (await stats(site)).tables['visits_by_page']?.partitions.length ?? 0),
      )
      return has.every((count) => count > 0)
    })
    await command('two', 'visit', '1000')
    await using opened = await open(`${sites[0].url}?of=app`)
    const { page, wrong } = opened
    await page.locator('#facts', { hasText: 'Workers2' }).waitFor()
    await page.locator('#tables tr', { hasText: 'visits_by_page' }).locator('[data-label=Rows][title="50"]').waitFor()
    const owner = await keyElsewhere(sites[0], 50)
    await page.locator('#lookup-key').fill(owner.key)
    await page.getByRole('button', { name: 'Get' }).click()
    await page.locator('#lookup-answer pre', { hasText: '20' }).waitFor()
    await page.locator('#lookup-answer', { hasText: owner.address }).waitFor()
    // Both are for the whole app, whichever worker the page comes from, and whichever leads.
    for (const site of sites) {
      await page.goto(`${site.url}?of=app`)
      await page.locator('#jobs tr', { hasText: 'everyEvening' }).getByRole('button', { name: 'Run now' }).click()
      await page.locator('#jobs-note', { hasText: 'everyEvening: done' }).waitFor()
    }
    const timer = page.locator('#jobs tr', { hasText: 'rememberTheTime' })
    await timer.getByRole('button', { name: 'Pause' }).click()
    await timer.locator('[data-label=State]', { hasText: 'paused' }).waitFor()
    await page.goto(sites[0].url)
    await timer.getByRole('button', { name: 'Resume' }).click()
    await timer.getByRole('button', { name: 'Pause' }).waitFor()
    await page.goto(`${sites[0].url}?of=app`)
    await page.locator('#facts', { hasText: 'Workers2' }).waitFor()
    expect(wrong).toEqual([])
    // One that was killed leaves the group at once; one that hangs is missed only when its session is over.
    sites[1].signal('SIGSTOP')
    await page.locator('#problems', { hasText: 'does not answer' }).waitFor()
    await end(sites[1], 'kill')
    await end(sites[0])
  })

  it('shows a recovery while it runs', async () => {
    const first = await start('recovery')
    await command('recovery', 'visit', '5000', '--pages', '5000')
    await until(async () => (await stats(first)).agents['count-visits']?.received === 5000)
    await end(first)
    const second = await start('recovery', { DASHBOARD_STORE_MS: '1000' })
    await using opened = await open(second.url)
    const { page, wrong } = opened
    await page.locator('#status[data-status=recovering]').waitFor()
    const table = page.locator('#tables tr', { hasText: 'visits_by_page' })
    await table.locator('progress:visible').waitFor()
    await table.locator('[data-label=Recovery]', { hasText: /recovering \d+%/ }).waitFor()
    await page.locator('#status[data-status=running]').waitFor()
    await table.locator('[data-label=Recovery]', { hasText: 'recovered, 5,000 rows' }).waitFor()
    expect(wrong).toEqual([])
    await end(second)
  })

  it('fits on a phone and on a large screen, in both themes', async () => {
    const site = await start('sizes')
    for (const colorScheme of ['light', 'dark'] as const) {
      await using opened = await open(site.url, { viewport: { width: 360, height: 800 }, colorScheme })
      const { page, wrong } = opened
      await page.locator('#agents tbody tr').first().waitFor()
      // Back to the phone's at last: what has grown must shrink again.
      for (const width of [360, 1280, 2560, 360]) {
        await page.setViewportSize({ width, height: 800 })
        await page.waitForFunction((wanted) => innerWidth === wanted, width)
        const needs = (): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth)
        await expect.poll(needs, { timeout: 5000 }).toBeLessThanOrEqual(width)
      }
      expect(wrong).toEqual([])
    }
    await end(site)
  })
})

async function stats({ url }: Site): Promise<Stats> {
  return JSON.parse(await text(`${url}stats`))
}

async function text(url: string): Promise<string> {
  return (await fetch(url, { headers: { accept: 'application/json' } })).text()
}

/** A key that is on the other worker, and where that is. */
async function keyElsewhere({ url }: Site, pages: number): Promise<{ key: string; address: string }> {
  for (let page = 0; page < pages; page++) {
    const key = `/page-${page}`
    const owner: { local: boolean; address: string } = JSON.parse(
      await text(`${url}router/visits_by_page/?key=${encodeURIComponent(key)}`),
    )
    if (!owner.local) return { key, address: owner.address }
  }
  throw new Error('Every page is on the first worker.')
}

/** Waits, at most 30 s, looking every 50 ms. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  await expect.poll(isSo, { timeout: 30_000, interval: 50 }).toBe(true)
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('No port.')
  return address.port
}
