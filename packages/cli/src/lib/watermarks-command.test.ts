import { createServer } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runHere } from '../fixtures/run-here.ts'

const event = { reason: 'event', topic: 'visits', partition: 1, agent: 'count', offset: 17, why: 'it has not finished' }
const live = {
  workers: {
    'worker-1': {
      answers: true,
      stats: {
        watermarks: [
          {
            ...{ name: 'minutes', kind: 'state', task: '12-10', partition: 10, watermark: '2026-01-01T10:00:00.000Z' },
            ...{ behindMs: 3_700_000, heldBy: { ...event, since: '2026-01-01T10:03:00.000Z', forMs: 720_000 } },
          },
          {
            ...{ name: 'visits-by-page', kind: 'topic', task: '12-9', partition: 9, watermark: '2026-01-01T11:00:00Z' },
            ...{
              behindMs: -1500,
              heldBy: { ...event, reason: 'end', since: '2026-01-01T10:03:00.000Z', forMs: 720_000 },
            },
          },
        ],
      },
    },
    'worker-2': {
      answers: true,
      stats: { watermarks: [{ name: 'minutes', task: '12-9', partition: 9 }, 'junk', { task: 4 }] },
    },
    'worker-3': { answers: true, stats: { of: 'another version' } },
    '10.0.0.4:6066': { answers: false, error: 'It answered 500.\u001b[2J' },
  },
}

const several = {
  ...live.workers['worker-1'].stats,
  processes: [
    { process: 0, worker: { id: 'worker-1' }, ...live.workers['worker-1'].stats },
    { process: 1, worker: { id: 'worker-2' }, ...live.workers['worker-2'].stats },
  ],
  missing: [2],
}
let hasDashboard = true
let isOneOfSeveral = false
const server = createServer(({ url = '' }, response) => {
  const pages: Readonly<Record<string, unknown>> = {
    '/': { app: 'fake', worker: 'worker-1' },
    '/stats': isOneOfSeveral ? several : live.workers['worker-1'].stats,
    ...(hasDashboard ? { '/live/?of=app': live } : {}),
  }
  response.writeHead(url in pages ? 200 : 404, { 'content-type': 'application/json' })
  response.end(JSON.stringify(pages[url] ?? { error: 'No such page.' }))
})
let worker: readonly string[] = []
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  worker = ['--worker', `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`]
})
afterAll(() => void server.close())

test('lists all workers by name and task, says what stands still, and who does not answer', async () => {
  const { code, stdout, stderr } = await runHere(['watermarks', ...worker])
  expect(code).toBe(0)
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/^name +task +worker +watermark +behind +held by +since$/),
    expect.stringMatching(/^minutes +12-9 +worker-2 +no event yet$/),
    expect.stringMatching(
      /^minutes +12-10 +worker-1 +2026-01-01T10:00:00.000Z +62m +it has not finished +2026-01-01T10:03:00.000Z$/,
    ),
    expect.stringMatching(/^into topic visits-by-page +12-9 +worker-1 +\S+ +-2s +it has not finished +\S+$/),
    '',
    'minutes (task 12-10) has stood still for 12m: it has not finished. Until then its windows stay open and its timers wait.',
    '',
  ])
  expect(stderr).toBe('Worker 10.0.0.4:6066 does not answer: It answered 500.\\u001b[2J\n')
})

test('as JSON each is an object, and a name chooses', async () => {
  const { stdout } = await runHere(['watermarks', 'minutes', '--json', ...worker])
  expect(JSON.parse(stdout)).toEqual([
    {
      ...{ name: 'minutes', kind: 'state', task: '12-9', partition: 9, worker: 'worker-2', waitsFor: null },
      ...{ watermark: null, behindMs: null, heldBy: null },
    },
    expect.objectContaining({
      task: '12-10',
      heldBy: expect.objectContaining({ offset: 17, upstream: null, forMs: 720_000 }),
    }),
  ])
  const none = await runHere(['watermarks', 'hours', ...worker])
  expect([none.code, none.stdout]).toEqual([0, expect.stringContaining('Nothing of the name "hours" keeps event time')])
})

test('without the dashboard it shows the worker that it asks', async () => {
  hasDashboard = false
  const { code, stdout, stderr } = await runHere(['watermarks', 'minutes', ...worker])
  hasDashboard = true
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/^minutes +12-10 +worker-1 /m)
})

test('without the dashboard it shows all processes of the site that it asks', async () => {
  hasDashboard = false
  isOneOfSeveral = true
  const { code, stdout, stderr } = await runHere(['watermarks', 'minutes', ...worker])
  hasDashboard = true
  isOneOfSeveral = false
  expect(code).toBe(0)
  expect(stdout).toMatch(/^minutes +12-9 +worker-2 +no event yet$/m)
  expect(stdout).toMatch(/^minutes +12-10 +worker-1 /m)
  expect(stderr).toBe('Worker process 2 does not answer: It is starting or busy, or has just ended.\n')
})
