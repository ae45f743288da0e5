import { get } from 'node:https'
import { eventually, testCertificates } from '@millrace/conformance'
import { systemClock, type AppSettings, type Logger } from '@millrace/core'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { composeVisits, type VisitsApp } from './app.ts'
import { CountedTransport } from './counted-transport.ts'
import { plainWeb } from './plain-web.ts'
import { SortedStore } from './sorted-store.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const memoryLog = createMemoryLog()

interface Running extends VisitsApp, AsyncDisposable {
  readonly transport: CountedTransport
}

async function run(web: AppSettings['web'] = { port: 0 }): Promise<Running> {
  const transport = new CountedTransport(createMemoryTransport(memoryLog, { clock: systemClock(), log: silent }))
  const app = composeVisits({ transport, store: new SortedStore(), web: plainWeb, log: silent }, web)
  await app.worker.start()
  return { ...app, transport, [Symbol.asyncDispose]: () => app.worker.stop() }
}

async function page({ url }: VisitsApp, path: string): Promise<unknown> {
  return (await fetch(new URL(path, url()))).json()
}

async function counted(app: VisitsApp, home: number): Promise<void> {
  await eventually(async () => JSON.stringify(await page(app, 'visits/home/')) === JSON.stringify({ home }), {
    what: `${home} visits of the home page`,
  })
}

test('an app composed by hand counts on a store, a transport and a web server of its own, and again after a restart', async () => {
  {
    await using app = await run()
    for (const key of ['home', 'about', 'home']) await app.visits.send({ key, value: 'ann' })
    await counted(app, 2)
    expect(await page(app, 'visits/about/')).toEqual({ about: 1 })
    expect(app.transport.sent.get('visits')).toBe(3)
  }
  // The store is empty now; the changelog, sent through the transport, is not.
  await using again = await run()
  expect(await page(again, 'visits/home/')).toEqual({ home: 2 })
  await again.visits.send({ key: 'home', value: 'bob' })
  await counted(again, 3)
})

test('its site has the built-in pages too', async () => {
  await using app = await run()
  expect((await fetch(new URL('health/ready', app.url()))).status).toBe(200)
  expect(await page(app, 'stats/')).toMatchObject({ app: 'visits', status: 'running' })
  expect(await page(app, 'dead-letters/')).toMatchObject([{ agent: 'count-visits', letters: 0 }])
  expect(await page(app, 'jobs/')).toEqual([])
})

test('its site is served over https where there is a certificate, with a port of its own for operators', async () => {
  const { ca, cert, key } = await testCertificates()
  await using app = await run({ port: 0, adminPort: 0, tls: { cert, key, ca } })
  const at = (path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      get(new URL(path, app.url()), { ca }, (answer) => resolve(answer.resume().statusCode)).on('error', reject)
    })
  expect(app.url()).toMatch(/^https:/)
  expect(await Promise.all(['stats/', 'visits/home/', 'health/live'].map(at))).toEqual([200, 200, 200])
})
