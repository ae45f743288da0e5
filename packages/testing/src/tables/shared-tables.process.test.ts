import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, json } from '@millrace/app'
import { bundled } from '@millrace/programs-for-tests'
import { afterEach, expect, it } from 'vitest'
import { startApp, type AppProcess } from '../lib/start-app.ts'
import type { Contents, Visit } from './shared-tables.fixture.ts'

const appFile = await bundled(new URL('./shared-tables.fixture.ts', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'millrace-shared-'))
const broker = `embedded:${join(directory, 'log')}`
const running: AppProcess[] = []

afterEach(async () => {
  for (const one of running.splice(0)) await one.kill()
  rmSync(directory, { recursive: true, force: true })
})

async function start(name: string): Promise<AppProcess> {
  const worker = startApp(appFile, ['worker'], {
    MILLRACE_BROKER: broker,
    MILLRACE_STORE: `lmdb:${join(directory, name)}`,
    MILLRACE_WEB_PORT: '0',
    MILLRACE_TOPIC_PARTITIONS: '8',
  })
  running.push(worker)
  await worker.said('Worker is ready')
  return worker
}

async function contentsOf(worker: AppProcess): Promise<Contents> {
  const answer = await fetch(new URL('/contents/', worker.site()))
  return JSON.parse(await answer.text())
}

const LIMIT = { timeout: 30_000 }
const PAGES = 200
const USERS = ['ann', 'bob', 'cy', 'di', 'ed']

/** Everybody comes to every page, in order; afterwards bob leaves it. */
const VISITS: readonly Visit[] = [...USERS.map((user) => ({ user, left: false })), { user: 'bob', left: true }].flatMap(
  ({ user, left }) => Array.from({ length: PAGES }, (_, i): Visit => ({ page: `/page-${i}/`, user, left })),
)

it(
  'two processes write while one of them is killed, and both have the same; so they do after a restart of both',
  { timeout: 120_000 },
  async () => {
    let [first, second] = await Promise.all([start('a'), start('b')])
    const client = createApp({ id: 'site', broker })
    const topic = client.topic('visits', { key: 'string', value: json<Visit>() })
    const send = async (some: readonly Visit[]): Promise<void> => {
      for (let from = 0; from < some.length; from += 100)
        await Promise.all(some.slice(from, from + 100).map((value) => topic.send({ key: value.page, value })))
    }
    const half = VISITS.length / 2
    await send(VISITS.slice(0, half))
    const rest = send(VISITS.slice(half))
    // In the midst of it.
    await expect.poll(async () => (await contentsOf(second)).everywhere.length, LIMIT).toBeGreaterThan(100)
    await first.kill()
    first = await start('a')
    await rest
    await client.stop()

    const stayed = VISITS.filter(({ user, left }) => !left && user !== 'bob')
    const rows = stayed.map(({ page, user }) => [page, user] as const).sort()
    const last = Array.from({ length: PAGES }, (_, i) => [`/page-${i}/`, 'bob']).sort()
    const look = async (): Promise<unknown> => {
      const [one, two] = [await contentsOf(first), await contentsOf(second)]
      const shared = [one, two].map(({ everywhere, last: there }) => ({ everywhere, last: there }))
      return { shared, all: [...one.here, ...two.here].sort(), both: one.here.length > 0 && two.here.length > 0 }
    }
    const same = { shared: [1, 2].map(() => ({ everywhere: rows, last })), all: rows, both: true }
    await expect.poll(look, LIMIT).toEqual(same)

    expect(await first.stop()).toBe(0)
    await second.kill()
    ;[first, second] = await Promise.all([start('a'), start('b')])
    await expect.poll(look, LIMIT).toEqual(same)
  },
)
