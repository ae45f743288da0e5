import { deferred, NO_HEADERS, type OutgoingRecord, type RawRecord } from '@millrace/core'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { Outside, runWorker, type TestApp, until } from '../fixtures/test-worker.fixture.ts'

/** Values that begin with a letter need the thing of that letter, which is here once `bring` was called. */
class Things {
  readonly asked: string[] = []
  readonly #coming = new Map<string, ReturnType<typeof deferred<void>>>()
  readonly #here = new Set<string>()

  readonly missing = ({ value }: Pick<RawRecord, 'value'>): Promise<void> | undefined => {
    const letter = value?.toString().charAt(0) ?? ''
    if (this.#here.has(letter)) return undefined
    const known = this.#coming.get(letter)
    if (known !== undefined) return known.promise
    this.asked.push(letter)
    const coming = deferred<void>()
    this.#coming.set(letter, coming)
    return coming.promise
  }

  bring(letter: string): void {
    this.#here.add(letter)
    this.#coming.get(letter)?.resolve()
  }
}

const record = (topic: string, value: string, timestamp: number): OutgoingRecord => ({
  ...{ topic, partition: 0, key: Buffer.from('k'), value: Buffer.from(value), headers: NO_HEADERS, timestamp },
})

function reading(topics: readonly string[], handled: string[], things: Things): TestApp {
  return {
    agents: topics.map((topic) => ({
      name: `read-${topic}`,
      topics: [topic],
      handler: (event) => void handled.push(event.record.value?.toString() ?? ''),
    })),
    topics: Object.fromEntries(topics.map((topic) => [topic, 1])),
    missing: { left: things.missing },
  }
}

test('a batch waits once for all that its records need, and goes out in order', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('left', 1)
  const values = Array.from({ length: 40 }, (_, n) => `${n % 3 === 0 ? 'a' : 'b'}${n}`)
  await outside.send(values.map((value, n) => record('left', value, n)))
  const things = new Things()
  const handled: string[] = []
  const { worker } = await runWorker(log, reading(['left'], handled, things))
  await until('both were asked for', () => things.asked.length === 2)
  things.bring('a')
  await until('the agent waits', () => worker.stats().waitingFor.length === 1)
  expect(worker.stats().waitingFor).toMatchObject([{ agent: 'read-left', reasons: ['codec'] }])
  expect(handled).toEqual([])
  things.bring('b')
  await until('all handled', () => handled.length === values.length)
  expect(handled).toEqual(values)
  expect(things.asked.toSorted()).toEqual(['a', 'b'])
  await worker.stop()
})

test('a worker stops while a batch waits, and the next one begins there', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('left', 1)
  await outside.send([record('left', 'a0', 0)])
  const things = new Things()
  const handled: string[] = []
  const first = await runWorker(log, reading(['left'], handled, things))
  await until('it was asked for', () => things.asked.length === 1)
  await first.worker.stop()
  things.bring('a')
  expect(handled).toEqual([])
  const { worker } = await runWorker(log, reading(['left'], handled, things))
  await until('it is handled', () => handled.length === 1)
  await worker.stop()
})

test('in an order by time, a topic that waits is not taken for empty', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  for (const topic of ['left', 'right']) await outside.topic(topic, 1)
  await outside.send([record('left', 'a0', 1), record('right', 'r0', 2), record('right', 'r1', 3)])
  const things = new Things()
  const handled: string[] = []
  const app: TestApp = { ...reading(['left', 'right'], handled, things), order: [['read-left', 'read-right']] }
  const { worker } = await runWorker(log, app)
  await until('it was asked for', () => things.asked.length === 1)
  await until('both topics are here', () => worker.quiet().positions.every(({ position }) => position > 0))
  await until('the agents wait', () => worker.stats().waitingFor.length === 2)
  expect(handled).toEqual([])
  things.bring('a')
  await until('all handled', () => handled.length === 3)
  expect(handled).toEqual(['a0', 'r0', 'r1'])
  await worker.stop()
})
