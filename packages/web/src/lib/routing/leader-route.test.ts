import { afterEach, expect, test } from 'vitest'
import { startProcess, type SiteProcess } from '../fixtures/site-process.fixture.ts'
import { smallGroup, smallSite } from '../fixtures/small-site.fixture.ts'
import { jobNamed, type SmallWorker } from '../fixtures/small-worker.fixture.ts'

const group = smallGroup(1)
const running: SiteProcess[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()))
})

const settings = { admin: true, routeTimeoutMs: 10_000 }

async function start(id: string): Promise<SiteProcess> {
  const one = await startProcess({ id, group, tables: () => [], settings }, [])
  running.push(one)
  withJob(one.worker)
  return one
}

function withJob(worker: SmallWorker): void {
  worker.listed = [jobNamed('daily'), jobNamed('local')]
  worker.ledJobs.add('daily')
}

interface Ran {
  readonly status: number
  readonly retryAfter: string | null
  readonly body: { readonly result?: string; readonly error?: string }
}

async function run(job: string, url: string, body?: string): Promise<Ran> {
  const headers = { 'millrace-action': 'test' }
  const response = await fetch(`${url}/jobs/${job}/run/`, { method: 'POST', headers, ...(body ? { body } : {}) })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: JSON.parse(await response.text()),
  }
}

test('a leader’s job runs on the leader, whichever worker is asked', async () => {
  const [one, two] = [await start('one'), await start('two')]
  two.worker.leads = true
  one.worker.leader = two.worker.leader = { member: 'two', address: two.worker.address() }
  expect(await run('daily', one.url, '{}')).toMatchObject({ status: 200, body: { result: 'done' } })
  expect(await run('daily', two.url)).toMatchObject({ status: 200, body: { result: 'done' } })
  expect([one.worker.asked, two.worker.asked]).toEqual([[], ['run daily', 'run daily']])
  // A job of every worker runs on the worker that was asked.
  expect(await run('local', one.url)).toMatchObject({ status: 200 })
  expect(one.worker.asked).toEqual(['run local'])
  expect(await run('nothing', one.url)).toMatchObject({ status: 404 })
})

test('the leader may be another worker of the same process', async () => {
  const small = smallSite({ settings })
  const other = smallSite({ id: 'worker-2', settings })
  for (const { worker } of [small, other]) withJob(worker)
  small.workers.push(other.worker)
  other.worker.leads = true
  const response = await small.get('/jobs/daily/run/', { method: 'POST', headers: { 'millrace-action': 'test' } })
  expect(await response.json()).toEqual({ result: 'done' })
  expect([small.worker.asked, other.worker.asked]).toEqual([[], ['run daily']])
})

test('a worker that does not lead says so, and is asked again in case the lead was moving', async () => {
  const [one, two, three] = [await start('one'), await start('two'), await start('three')]
  three.worker.leads = true
  // Two workers that take each other for the leader do not loop.
  one.worker.leader = { member: 'two', address: two.worker.address() }
  two.worker.leader = { member: 'one', address: one.worker.address() }
  expect(await run('daily', one.url)).toMatchObject({
    status: 503,
    retryAfter: '1',
    body: { error: 'Job "daily" runs on the leader, and the lead is moving.' },
  })
  // The worker hears of the new leader while the old one is asked.
  const moving = { member: 'two', address: two.worker.address() }
  let looks = 0
  Object.defineProperty(one.worker, 'leader', {
    get: () => (looks++ === 0 ? moving : { member: 'three', address: three.worker.address() }),
  })
  expect(await run('daily', one.url)).toMatchObject({ status: 200, body: { result: 'done' } })
  expect([one.worker.asked, two.worker.asked, three.worker.asked]).toEqual([[], [], ['run daily']])
})

test('a missing leader, one without a site, or one that is down gives 503 with the reason', async () => {
  const one = await start('one')
  expect(await run('daily', one.url)).toMatchObject({
    status: 503,
    body: { error: expect.stringMatching('nobody leads') },
  })
  one.worker.leader = { member: 'one', address: one.worker.address() }
  expect(await run('daily', one.url)).toMatchObject({
    status: 503,
    body: { error: expect.stringMatching('beginning to lead') },
  })
  one.worker.leader = { member: 'two', address: undefined }
  expect(await run('daily', one.url)).toMatchObject({
    status: 503,
    body: { error: expect.stringMatching('serves no site') },
  })
  one.worker.leader = { member: 'two', address: '127.0.0.1:1' }
  expect(await run('daily', one.url)).toMatchObject({
    status: 503,
    retryAfter: '1',
    body: { error: 'Job "daily" runs on the leader, which cannot be reached at 127.0.0.1:1.' },
  })
})
