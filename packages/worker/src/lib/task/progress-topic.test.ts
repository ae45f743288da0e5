import { deferred, type Logger } from '@millrace/core'
import type { HandedOutEvent } from '../contracts/event.ts'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import {
  Outside,
  outgoing,
  runWorker,
  silentLog,
  type TestApp,
  testWorker,
  until,
} from '../fixtures/test-worker.fixture.ts'
import { MAX_METADATA_BYTES } from '../records/commit-metadata.ts'
import { progressTopic } from '../records/progress-pages.ts'

const AGENTS = 130
const EVENTS = 140

const nameOf = (nth: number): string => `agent-${String(nth).padStart(4, '0')}-${'x'.repeat(21)}`
const number = (event: HandedOutEvent): number => Number(event.record.value?.toString())

/**
 * As many agents on one topic, with names of 32 characters. `may` is called for each event, and holds it until it
 * resolves.
 */
function namesApp(may: (agent: number, number: number) => Promise<void> | undefined): TestApp {
  return {
    agents: Array.from({ length: AGENTS }, (_, nth) => ({
      name: nameOf(nth),
      topics: ['in'],
      handler: async (event) => {
        await may(nth, number(event))
        event.send(outgoing('out', 0, 'k', `${nth}/${number(event)}`))
      },
    })),
    topics: { out: 1 },
    settings: { exactlyOnce: true, commitIntervalMs: 5, drainTimeoutMs: 50 },
  }
}

const sent = (log: MemoryLog): readonly string[] => log.records('out').map(({ value }) => String(value))
const metadataOf = (log: MemoryLog): string => log.committed('app').find(({ topic }) => topic === 'in')?.metadata ?? ''

test("the progress of each agent is committed although the agents' names exceed the commit metadata", async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: EVENTS, partitions: 1 })
  const never = deferred<void>()
  // Each agent stands at another event, so that the progress of one does not follow from the others.
  const first = await runWorker(
    log,
    namesApp((agent, at) => (at > agent ? never.promise : undefined)),
    { id: 'first' },
  )
  const done = (AGENTS * (AGENTS + 1)) / 2
  await until('all finished events to be committed', () => sent(log).length === done)
  await until('its commit', () => metadataOf(log).startsWith('m2 @'))
  expect(first.worker.stats().abortedTransactions).toBe(0)
  first.kill()
  const { worker } = await runWorker(
    log,
    namesApp(() => undefined),
    { id: 'second' },
  )
  await until('all committed', () => log.committed('app').some(({ offset }) => offset === EVENTS))
  await worker.stop()
  expect(new Set(sent(log)).size).toBe(AGENTS * EVENTS)
  expect(sent(log).length).toBe(AGENTS * EVENTS)
  // The metadata is readable for the previous build again.
  expect(metadataOf(log)).toMatch(/^m1 /)
})

test('agents at the same position need no progress topic, however long their names are', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  const { worker } = await runWorker(
    log,
    namesApp(() => undefined),
  )
  await outside.numbers('in', { count: 1, partitions: 1 })
  await until('all committed', () => log.committed('app').some(({ offset }) => offset === 1))
  await worker.stop()
  expect(metadataOf(log).length).toBeLessThanOrEqual(MAX_METADATA_BYTES)
})

/** Every second event waits for `go`, which makes as many gaps. */
function gapsApp(go: Promise<void>): TestApp {
  return {
    agents: [
      {
        name: 'gappy',
        topics: ['in'],
        instances: 1600,
        ordering: 'none',
        handler: async (event) => {
          if (number(event) % 2 === 0) await go
          event.send(outgoing('out', 0, 'k', String(number(event))))
        },
      },
    ],
    topics: { out: 1 },
    settings: { exactlyOnce: true, commitIntervalMs: 5, drainTimeoutMs: 50, maxBufferedEvents: 8000 },
  }
}

test('a commit waits for no event in flight although the gaps exceed the commit metadata', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 3000, partitions: 1, keys: 3000 })
  const first = await runWorker(log, gapsApp(deferred<void>().promise), { id: 'first' })
  await until('the others to be committed', () => sent(log).length === 1500)
  first.kill()
  const { worker } = await runWorker(log, gapsApp(Promise.resolve()), { id: 'second' })
  await until('all committed', () => log.committed('app').some(({ offset }) => offset === 3000))
  await worker.stop()
  expect(sent(log).length).toBe(3000)
  expect(new Set(sent(log)).size).toBe(3000)
})

test.each([true, false])(
  'missing pages stop the worker; at least once, what they listed as finished is handled again (exactly once: %s)',
  async (exactlyOnce) => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    await outside.numbers('in', { count: 3000, partitions: 1, keys: 3000 })
    const first = await runWorker(log, gapsApp(deferred<void>().promise), { id: 'first' })
    await until('the others to be committed', () => sent(log).length === 1500)
    first.kill()
    await outside.deleteTopic(progressTopic('app'))
    const errors: string[] = []
    const logger: Logger = { ...silentLog, error: (_, message) => void errors.push(message) }
    const app = gapsApp(Promise.resolve())
    const { worker } = testWorker(log, { ...app, settings: { ...app.settings, exactlyOnce } }, { log: logger })
    const said = /progress of agents on in\/0 beyond offset 0 is in the progress topic, but there is no such record/
    const started = worker.start()
    if (exactlyOnce) {
      await expect(started).rejects.toMatchObject({
        code: 'PROGRESS_MISSING',
        detail: expect.stringMatching(said),
      })
      return
    }
    await started
    await until('all committed', () => log.committed('app').some(({ offset }) => offset === 3000))
    await worker.stop()
    expect(errors).toEqual([expect.stringMatching(said)])
    expect(sent(log).length).toBe(4500)
  },
)

test('if the app may not create topics, the error shows the command that creates it', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.topic('out', 1)
  await outside.numbers('in', { count: 3000, partitions: 1, keys: 3000 })
  const app = gapsApp(deferred<void>().promise)
  const settings = { ...app.settings, topics: { create: false }, shutdownTimeoutMs: 100 }
  const { worker } = await runWorker(log, { ...app, settings })
  await expect(worker.finished).rejects.toMatchObject({
    code: 'TOPIC_MISSING',
    detail: expect.stringMatching(/--create --topic app-__progress --partitions 4 .*--config cleanup.policy=compact/),
  })
})
