import { createApp, json, type App, type Table, type Topic } from '@millrace/app'
import { numberedRecords } from './input-feed.ts'
import type { SimulatedInput, SimulatedRun, SimulatedWorld } from './simulation-options.ts'

export interface Entry {
  readonly key: string
  readonly number: number
}

interface Ledger {
  readonly app: App
  readonly entries: Topic<string, Entry>
  readonly copies: Topic<string, Entry>
  readonly audits: Topic<string, Entry>
  readonly grouped: Topic<string, Entry>
  readonly counts: Table<string, number>
  readonly groupCounts: Table<string, number>
}

export interface LedgerCase {
  readonly make: (world: SimulatedWorld) => App
  readonly input: () => Iterable<SimulatedInput>
  readonly check: (run: SimulatedRun) => void
}

const GROUPS = 3
const RECORDS = 60
/** So small that members warm up. */
const LAG = 2

/**
 * An app with all that can go wrong: tables, two agents on one topic, a groupBy, sends, concurrency, and handlers that
 * fail on some attempts, after their writes and sends.
 */
function declare(world: SimulatedWorld, processingGuarantee: 'at-least-once' | 'exactly-once'): Ledger {
  const app = createApp({ id: 'ledger', processingGuarantee, acceptableRecoveryLag: LAG })
  const entries = app.topic('entries', { key: 'string', value: json<Entry>() })
  const copies = app.topic('copies', { key: 'string', value: json<Entry>() })
  const audits = app.topic('audits', { key: 'string', value: json<Entry>() })
  const grouped = app.topic('grouped', { key: 'string', value: json<Entry>() })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  const groupCounts = app.table('group_counts', { key: 'string', value: 'number', default: () => 0 })
  const onError = { retry: 1000, backoff: '20ms', maxBackoff: '100ms' } as const
  const mayFail = (): void => {
    if (world.fails(0.06)) throw new Error('a handler that fails now and then')
  }
  app.agent(
    'count',
    entries,
    async (stream) => {
      for await (const { key, number } of stream) {
        await world.pause()
        counts.update(key, (count) => count + 1)
        await copies.send({ key, value: { key, number } })
        await world.pause()
        mayFail()
      }
    },
    { concurrency: 4, onError },
  )
  app.agent(
    'audit',
    entries,
    async (stream) => {
      for await (const { key, number } of stream) {
        await audits.send({ key, value: { key, number } })
        mayFail()
      }
    },
    { concurrency: 2, onError },
  )
  app.agent(
    'group',
    entries,
    async (stream) => {
      const byGroup = stream.groupBy(({ number }) => `group-${number % GROUPS}`, { name: 'by-group' })
      for await (const event of byGroup.events()) {
        groupCounts.update(event.key, (count) => count + 1)
        await world.pause()
        await grouped.send({ key: event.key, value: event.value })
        mayFail()
      }
    },
    { concurrency: 4, onError },
  )
  return { app, entries, copies, audits, grouped, counts, groupCounts }
}

/** The app, what is sent to it, and what must have come of it. For one run at a time. */
export function ledgerCase(processingGuarantee: 'at-least-once' | 'exactly-once'): LedgerCase {
  let ledger: Ledger | undefined
  const current = (): Ledger => {
    if (ledger === undefined) throw new Error('The app has not been made.')
    return ledger
  }
  return {
    make: (world) => (ledger = declare(world, processingGuarantee)).app,
    input: () =>
      numberedRecords(current().entries, { records: RECORDS, keys: 7, value: (key, number) => ({ key, number }) })(),
    check: (run) => checkLedger(run, current()),
  }
}

function checkLedger(run: SimulatedRun, { entries, copies, audits, grouped, counts, groupCounts }: Ledger): void {
  const input = run.sent(entries).flatMap(({ value }) => value ?? [])
  if (input.length !== RECORDS) throw new Error(`${input.length} records were sent in, not ${RECORDS}.`)
  for (const topic of [copies, audits, grouped]) {
    const seen = new Map<string, number>()
    for (const { value } of run.sent(topic)) {
      const id = `${value?.key}/${value?.number}`
      seen.set(id, (seen.get(id) ?? 0) + 1)
    }
    for (const { key, number } of input) {
      const times = seen.get(`${key}/${number}`) ?? 0
      if (times === 0) throw new Error(`${topic.name} has lost ${key}/${number}.`)
      if (times > 1 && !run.mayDouble) throw new Error(`${topic.name} has ${key}/${number} ${times} times.`)
      seen.delete(`${key}/${number}`)
    }
    if (seen.size > 0) throw new Error(`${topic.name} has what was never sent in: ${[...seen.keys()].join(', ')}.`)
  }
  checkCounts('counts', { counted: counts, ids: input.map(({ key }) => key), mayDouble: run.mayDouble })
  checkCounts('group_counts', {
    counted: groupCounts,
    ids: input.map(({ number }) => `group-${number % GROUPS}`),
    mayDouble: run.mayDouble,
  })
}

function checkCounts(
  table: string,
  {
    counted,
    ids,
    mayDouble,
  }: {
    readonly counted: { get(key: string): number | undefined }
    readonly ids: readonly string[]
    readonly mayDouble: boolean
  },
): void {
  const expected = new Map<string, number>()
  for (const id of ids) expected.set(id, (expected.get(id) ?? 0) + 1)
  for (const [id, count] of expected) {
    const got = counted.get(id) ?? 0
    if (got < count || (got > count && !mayDouble)) throw new Error(`${table} has ${got} for ${id}, not ${count}.`)
  }
}
