import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { eventually, EventReader } from '@millrace/conformance'
import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'

const appFile = await bundled(new URL('./app.ts', import.meta.url))
const COUNT = 24
const ASK_EVERY_MS = 10
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

/** Pages over tables, asked at three workers that are processes of one group. */
export function routeFlows(broker: () => string): void {
  const id = `routes-${randomBytes(4).toString('hex')}`
  const workers: AppProcess[] = []
  const start = async (): Promise<AppProcess> => {
    const worker = startApp(appFile, ['worker', '--web-port', '0'], {
      MILLRACE_BROKER: broker(),
      MILLRACE_ID: id,
      MILLRACE_SESSION_TIMEOUT: '4s',
    })
    workers.push(worker)
    await worker.said('Worker is ready')
    return worker
  }
  const visitsAt = async (worker: AppProcess, path: string): Promise<unknown> => {
    const response = await fetch(new URL(path, worker.site()))
    const body: { visits?: number } = JSON.parse(await response.text())
    if (response.status === 503) expect(response.headers.get('retry-after')).toBe('1')
    return response.status === 200 ? body.visits : response.status
  }
  const twiceEverywhere = async (asked: readonly AppProcess[]): Promise<void> => {
    for (const worker of asked)
      for (const path of PATHS)
        await eventually(async () => (await visitsAt(worker, path)) === 2, {
          what: `2 visits at ${path} of ${worker.site()}`,
        })
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

  it('A view can send to topics, call agents and read tables', async () => {
    for (const worker of workers) {
      for (const name of NAMES.slice(0, 6)) {
        const response = await fetch(new URL(`/greet/${encodeURIComponent(name)}/`, worker.site()))
        expect(await response.json()).toEqual({ greeting: `Hello ${name}!` })
      }
    }
    expect(await visitsAt(one(workers[0]), PATHS[0] ?? '')).toBe(2)
  }, 120_000)

  it('The rows of a table are spread over the workers: each has the keys of its own partitions', async () => {
    const owners = new Map<string, unknown>()
    for (const name of NAMES) {
      const path = `/router/names/?key=${encodeURIComponent(name)}`
      const told: unknown[] = await Promise.all(
        workers.map(async (worker) => JSON.parse(await (await fetch(new URL(path, worker.site()))).text()).address),
      )
      // All say the same.
      expect(new Set(told).size).toBe(1)
      owners.set(name, told[0])
    }
    expect(new Set(owners.values()).size).toBe(3)
  })

  it('A table can be read at any worker, without a page of your own', async () => {
    for (const worker of workers) {
      const response = await fetch(new URL(`/table/names/${encodeURIComponent(NAMES[0] ?? '')}/`, worker.site()))
      expect(await response.json()).toBe(2)
    }
  })

  it(
    'A table route brings each request to the worker that has the key, by path and by query, for any kind of key',
    () => twiceEverywhere(workers),
    120_000,
  )

  it('While workers leave and join, an answer is right or 503 with Retry-After, and right again afterwards', async () => {
    const [first, second] = workers
    let rebalancing = true
    const asking = (async () => {
      const answers = new Set<unknown>()
      for (let i = 0; rebalancing; i++) {
        answers.add(await visitsAt(one(first), PATHS[i % PATHS.length] ?? '/'))
        // A few hundred questions are enough: the workers share the machine with whoever asks.
        await wait(ASK_EVERY_MS)
      }
      return answers
    })()
    // Awaited below; if a worker fails before, that is what is told.
    asking.catch(() => undefined)
    expect(await one(second).stop()).toBe(0)
    const fourth = await start()
    rebalancing = false
    expect([...(await asking)].filter((answer) => answer !== 2 && answer !== 503)).toEqual([])
    await twiceEverywhere([one(first), fourth])
  }, 120_000)

  it('When a worker is killed, its keys are 503 with Retry-After until others have them, and watches of them go on', async () => {
    const [first, , third] = workers
    // On Kafka workers are known by the machine's address, not by the host that they are asked at here.
    const { port } = new URL(one(third).site())
    const isOfThird = async (name: string): Promise<boolean> => {
      const { address } = JSON.parse(await (await fetch(new URL(`/router/names/${name}/`, one(first).site()))).text())
      return new URL(`http://${address}`).port === port
    }
    let watched = `watched-${RUN}`
    for (let tries = 0; !(await isOfThird(watched)); tries++) {
      expect(tries).toBeLessThan(100)
      watched += 'x'
    }
    const visit = async (): Promise<void> => {
      expect((await fetch(new URL(`/visit/?name=${watched}`, one(first).site()))).status).toBe(200)
    }
    const watch = new EventReader(await fetch(new URL(`/table/names/${watched}/watch`, one(first).site())))
    const shown = async (): Promise<unknown> => (await watch.next())?.data
    expect(await shown()).toEqual({ key: watched })
    await visit()
    expect(await shown()).toEqual({ key: watched, value: 1 })
    await one(third).kill()
    await visit()
    const answers = new Set<unknown>()
    await eventually(
      async () => {
        const round = await Promise.all(PATHS.map((path) => visitsAt(one(first), path)))
        for (const answer of round) answers.add(answer)
        return round.every((answer) => answer === 2)
      },
      { what: 'all keys to be answered again', limitMs: 60_000 },
    )
    expect([...answers].filter((answer) => answer !== 2 && answer !== 503)).toEqual([])
    // The same stream: it has followed its key to another worker.
    expect(await shown()).toEqual({ key: watched, value: 2 })
    await watch.close()
  }, 120_000)
}

function one(worker: AppProcess | undefined): AppProcess {
  if (worker === undefined) throw new Error('No worker was started.')
  return worker
}
