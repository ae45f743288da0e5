import { randomBytes } from 'node:crypto'
import { eventually } from '@millrace/conformance'
import { describeKafka } from '@millrace/kafka-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'

const COUNT = 24
// A broker that is kept between runs has the last run's visits: these keys are new.
const RUN = randomBytes(3).readUIntBE(0, 3)
const NAMES = [
  ...Array.from({ length: COUNT }, (_, i) => `${RUN}-${i}`),
  `${RUN}/b`,
  `${RUN} ü %25 ?`,
  `__proto__${RUN}`,
]
const NUMBERS = Array.from({ length: COUNT }, (_, i) => RUN + i / 2)
const PLACES = Array.from({ length: COUNT }, (_, i) => ({ country: `c${i % 5}`, city: `${RUN}-${i}` }))

/** Where each key is asked for. JSON keys are asked for with their names in another order than they are sent in. */
const PATHS: readonly string[] = [
  ...NAMES.map((name) => `/names/${encodeURIComponent(name)}/`),
  ...NUMBERS.map((number) => `/numbers/?n=${number}`),
  ...PLACES.map(({ country, city }) => `/places/?place=${encodeURIComponent(JSON.stringify({ city, country }))}`),
]

describeKafka('table routes, three workers on Kafka', (brokers) => {
  const env = {
    MILLRACE_BROKER: `kafka://${brokers.join(',')}`,
    MILLRACE_ID: `routes-${randomBytes(4).toString('hex')}`,
  }
  const workers: AppProcess[] = []
  const start = async (): Promise<AppProcess> => {
    const worker = startApp(new URL('./app.ts', import.meta.url), ['worker', '--web-port', '0'], env)
    workers.push(worker)
    await worker.said('Worker is ready')
    return worker
  }
  const visitsAt = async (worker: AppProcess, path: string): Promise<unknown> => {
    const response = await fetch(new URL(path, worker.site()))
    const body: { visits?: number } = await response.json()
    return response.status === 200 ? body.visits : response.status
  }

  beforeAll(async () => {
    await Promise.all([start(), start(), start()])
    const site = one(workers[0]).site()
    const visit = async (field: string, key: string): Promise<void> => {
      for (let visits = 0; visits < 2; visits++)
        expect((await fetch(new URL(`/visit/?${field}=${encodeURIComponent(key)}`, site))).status).toBe(200)
    }
    for (const name of NAMES) await visit('name', name)
    for (const number of NUMBERS) await visit('n', String(number))
    for (const place of PLACES) await visit('place', JSON.stringify(place))
  }, 240_000)
  afterAll(() => Promise.all(workers.map((worker) => worker.kill())))

  it('every key asked at every worker gives its value', async () => {
    for (const worker of workers.slice(0, 3))
      for (const path of PATHS)
        await eventually(async () => (await visitsAt(worker, path)) === 2, {
          what: `2 visits at ${path} of ${worker.site()}`,
        })
  }, 120_000)

  it('while workers leave and join, an answer is right or 503 with Retry-After, and right again afterwards', async () => {
    const [first, second] = workers
    let rebalancing = true
    const asking = (async () => {
      const answers = new Set<unknown>()
      for (let i = 0; rebalancing; i++) answers.add(await visitsAt(one(first), PATHS[i % PATHS.length] ?? '/'))
      return answers
    })()
    expect(await one(second).stop()).toBe(0)
    const fourth = await start()
    rebalancing = false
    expect([...(await asking)].filter((answer) => answer !== 2 && answer !== 503)).toEqual([])
    for (const worker of [one(first), fourth])
      for (const path of PATHS)
        await eventually(async () => (await visitsAt(worker, path)) === 2, {
          what: `2 visits at ${path} of ${worker.site()}`,
        })
  }, 120_000)
})

function one(worker: AppProcess | undefined): AppProcess {
  if (worker === undefined) throw new Error('No worker was started.')
  return worker
}
