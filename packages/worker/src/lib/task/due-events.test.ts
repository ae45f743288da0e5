import { deferred, systemClock } from '@millrace/core'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { describe, expect, test } from 'vitest'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { StateDefinition } from '../contracts/task.ts'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { remind, reminderState } from '../fixtures/reminders.fixture.ts'
import { Outside, outgoing, runWorker, type TestApp, type TestWorker, until } from '../fixtures/test-worker.fixture.ts'

const PARTITIONS = 2
const clock = systemClock()

const keyOf = ({ record }: HandedOutEvent): string => String(record.key)
const textOf = ({ record }: HandedOutEvent): string => String(record.value)
const send = (event: HandedOutEvent, topic: string): void =>
  void event.send({ ...outgoing(topic, 0, keyOf(event), textOf(event)), partition: undefined })

function valuesOf(log: MemoryLog, topic: string): readonly number[] {
  return log
    .records(topic)
    .map(({ value }) => Number(value))
    .toSorted((a, b) => a - b)
}

/** Counts the reminders that the changelog still has, as their next owner would read it. */
function left(log: MemoryLog): number {
  const rows = new Map<string, Buffer | null>()
  for (const { key, value, partition } of log.records('reminders-changelog'))
    rows.set(`${partition} ${String(key)}`, value)
  return [...rows.values()].filter((value) => value !== null).length
}

interface Reminding {
  readonly app: TestApp
  readonly counts: StateDefinition
}

/** Each record sets a reminder; a due reminder is counted and sent on. `due` runs before that. */
function remindingApp(
  due: (event: HandedOutEvent) => void | Promise<void>,
  { instances = 1, ...settings }: TestApp['settings'] & { readonly instances?: number } = {},
): Reminding {
  const reminders = reminderState('reminders')
  const counts = countTable('counts')
  const agents = [
    {
      name: 'set',
      topics: ['in'],
      handler: (event: HandedOutEvent) => remind(reminders, event, keyOf(event), textOf(event)),
    },
    {
      name: 'fire',
      topics: [],
      due: reminders,
      instances,
      handler: async (event: HandedOutEvent) => {
        addTo(counts, event, keyOf(event))
        send(event, 'fired')
        await due(event)
      },
    },
  ]
  return { counts, app: { agents, tables: [reminders, counts], topics: { fired: 1, letters: 1 }, settings } }
}

const all = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i)

describe.each([{ exactlyOnce: false }, { exactlyOnce: true }])('an event that a state has due, %o', (settings) => {
  test('is handed out once, and removed by the commit of its event', async () => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', PARTITIONS)
    const { app, counts } = remindingApp(() => {}, settings)
    const { worker } = await runWorker(log, app)
    await outside.numbers('in', { count: 400, partitions: PARTITIONS, keys: 10 })
    await until('all fired', () => valuesOf(log, 'fired').length === 400)
    expect([...countsOf(worker.context.openStates(counts)).values()]).toEqual(all(10).map(() => 40))
    await worker.stop()
    expect(valuesOf(log, 'fired')).toEqual(all(400))
    expect(left(log)).toBe(0)
  })

  test('is retried when its handler throws, and becomes a dead letter when it fails for good', async () => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', PARTITIONS)
    const attempts = new Map<string, number>()
    const { app, counts } = remindingApp((event) => {
      attempts.set(textOf(event), event.attempts)
      if (Number(textOf(event)) % 5 === 0 && event.attempts === 0) throw new Error('the first attempt')
      if (Number(textOf(event)) % 7 !== 0) return
      if (event.attempts < 2) throw new Error('never works')
      event.rollback()
      send(event, 'letters')
    }, settings)
    const { worker } = await runWorker(log, app)
    await outside.numbers('in', { count: 140, partitions: PARTITIONS, keys: 10 })
    await until('all ended', () => valuesOf(log, 'fired').length === 120 && valuesOf(log, 'letters').length === 20)
    const counted = [...countsOf(worker.context.openStates(counts)).values()].reduce((sum, count) => sum + count, 0)
    await worker.stop()
    expect(counted).toBe(120)
    expect(valuesOf(log, 'letters')).toEqual(all(140).filter((number) => number % 7 === 0))
    expect(attempts.get('7')).toBe(2)
    expect(attempts.get('5')).toBe(1)
    expect(left(log)).toBe(0)
  })

  test('conflicts with others about a key, and is handled after them', async () => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', PARTITIONS)
    const { app, counts } = remindingApp(
      async (event) => {
        if (Number(textOf(event)) % 3 === 0) await clock.sleep(1)
      },
      { ...settings, instances: 8 },
    )
    const others = {
      name: 'others',
      topics: ['in'],
      instances: 4,
      handler: async (event: HandedOutEvent) => {
        addTo(counts, event, keyOf(event))
        if (Number(textOf(event)) % 4 === 0) await clock.sleep(1)
      },
    }
    const { worker } = await runWorker(log, { ...app, agents: [...app.agents, others] })
    await outside.numbers('in', { count: 200, partitions: PARTITIONS, keys: 2 })
    await until('all fired', () => valuesOf(log, 'fired').length === 200)
    await until('all counted', () => [...countsOf(worker.context.openStates(counts)).values()].every((n) => n === 200))
    await worker.stop()
    expect(valuesOf(log, 'fired')).toEqual(all(200))
  })

  test('is finished before a stop ends; the others stay due for the next worker', async () => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    const reached = deferred<void>()
    const open = deferred<void>()
    const first = remindingApp(async (event) => {
      if (Number(textOf(event)) !== 20) return
      reached.resolve()
      await open.promise
    }, settings)
    const { worker } = await runWorker(log, first.app)
    await outside.numbers('in', { count: 50, partitions: 1 })
    await reached.promise
    await until('all set', () => left(log) === 30 || left(log) === 50)
    const stopping = worker.stop()
    await until('hand-out has stopped', () => worker.status === 'stopping')
    open.resolve()
    await stopping
    expect(valuesOf(log, 'fired')).toEqual(all(21))
    expect(left(log)).toBe(29)
    const second = await runWorker(log, remindingApp(() => {}, settings).app)
    await until('all fired', () => valuesOf(log, 'fired').length >= 50)
    await second.worker.stop()
    expect(valuesOf(log, 'fired')).toEqual(all(50))
  })
})

test('exactly once under kills: each reminder fires once, and its effects count once', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  const { app } = remindingApp(
    async (event) => {
      if (Number(textOf(event)) % 11 === 0 && event.attempts === 0) throw new Error('the first attempt')
      if (Number(textOf(event)) % 50 === 0) await clock.sleep(2)
    },
    { exactlyOnce: true, commitIntervalMs: 10, instances: 3 },
  )
  const live: TestWorker[] = []
  const total = 3000
  const sending = async (): Promise<void> => {
    for (let from = 0; from < total; from += 100) {
      await outside.numbers('in', { first: from, count: 100, partitions: PARTITIONS, keys: 10 })
      await clock.sleep(3)
    }
  }
  const killing = async (): Promise<void> => {
    for (let round = 0; round < 6; round++) {
      while (live.length < 2) live.push(await runWorker(log, app, { id: `w${round}` }))
      await clock.sleep(25)
      const victim = live.shift()
      if (round % 3 === 2) await victim?.worker.stop()
      else victim?.kill()
    }
    live.push(await runWorker(log, app))
  }
  await Promise.all([sending(), killing()])
  await until('all fired', () => valuesOf(log, 'fired').length >= total)
  for (const { worker } of live) await worker.stop()
  expect(valuesOf(log, 'fired')).toEqual(all(total))
  expect(left(log)).toBe(0)
  const counted = new Map(log.records('counts-changelog').map(({ key, value }) => [String(key), Number(value)]))
  expect([...counted.values()]).toEqual(all(10).map(() => total / 10))
})

test('two agents cannot share the due events of one state', async () => {
  const { app } = remindingApp(() => {})
  const [set, fire] = app.agents
  if (set === undefined || fire === undefined) throw new Error('The app has two agents.')
  const starting = runWorker(createMemoryLog(), { ...app, agents: [set, fire, { ...fire, name: 'too' }] })
  await expect(starting).rejects.toThrow('NAME_TAKEN')
})
