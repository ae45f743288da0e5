import { createApp, json, type App, type Topic } from '@millrace/app'
import { expect, test } from 'vitest'
import { numberedRecords } from './input-feed.ts'
import { ledgerCase, type LedgerCase } from './ledger-app.fixture.ts'
import type { Entry } from './scenarios/scenario.fixture.ts'
import { checkSent } from './scenarios/scenario.fixture.ts'
import { simulate } from './simulate.ts'
import type { SimulatedInput, SimulatedRun, SimulatedWorld, SimulationFaults } from './simulation-options.ts'

const GUARANTEES = ['at-least-once', 'exactly-once'] as const

/** Of each case; `GROUP_SEEDS=1000` for more. */
const SEEDS = Number(process.env['GROUP_SEEDS'] ?? 4)

/** What happens to the group and nothing else, so that nothing else explains what went wrong. */
const QUIET: SimulationFaults = {
  kills: 0,
  silences: 0,
  freezes: 0,
  lostAnswers: 0,
  commitErrors: 0,
  stalls: 0,
  deafStops: 0,
  cuts: 0,
  deploys: 0,
  intruders: 0,
}

/** Runs all seeds; what went wrong, and how often each fault happened. */
async function run(
  { make, input, check, isPending }: Pick<LedgerCase, 'make' | 'input' | 'check'> & Partial<LedgerCase>,
  faults: SimulationFaults,
): Promise<{ readonly failures: readonly string[]; readonly happened: Readonly<Record<string, number>> }> {
  const failures: string[] = []
  const happened: Record<string, number> = {}
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      const report = await simulate(make, {
        seed,
        input,
        check,
        ...(isPending === undefined ? {} : { isPending }),
        faults,
      })
      for (const [fault, times] of Object.entries(report.faults)) happened[fault] = (happened[fault] ?? 0) + times
    } catch (thrown) {
      failures.push(String(thrown).split('\n').slice(0, 2).join(' '))
    }
  }
  return { failures, happened }
}

// Nothing may double here: members that miss a generation give up what others may have had, and have drained before.
test.each(GUARANTEES)('members miss generations, %s: nothing is lost or counted twice', async (guarantee) => {
  const faults = { ...QUIET, rebalances: 8, stops: 3, lags: 8 }
  const { failures, happened } = await run(ledgerCase(guarantee), faults)
  expect(failures).toEqual([])
  expect(happened['lags']).toBeGreaterThan(0)
})

test.each(GUARANTEES)('members are removed from the group while they drain, %s', async (guarantee) => {
  const faults = { ...QUIET, rebalances: 8, stops: 1, evictions: 4, slow: 0.1 }
  const { failures, happened } = await run(ledgerCase(guarantee), faults)
  expect(failures).toEqual([])
  expect(happened['evictions']).toBeGreaterThan(0)
})

test.each([
  { members: 'static', statics: 1 },
  { members: 'dynamic', statics: 0 },
])(
  'topics get more partitions under $members members: all is handled, and the group comes to rest',
  async ({ statics }) => {
    const faults = { ...QUIET, rebalances: 2, stops: 1, topicChanges: 2, statics }
    const { failures, happened } = await run(relayCase(), faults)
    expect(failures).toEqual([])
    expect(happened['topicChanges']).toBeGreaterThan(0)
  },
)

/** Sends each entry on, and keeps nothing by partition. */
function relayCase(): {
  readonly make: (world: SimulatedWorld) => App
  readonly input: () => Iterable<SimulatedInput>
  readonly check: (run: SimulatedRun) => void
} {
  let topics: { readonly entries: Topic<string, Entry>; readonly copies: Topic<string, Entry> } | undefined
  const made = (): NonNullable<typeof topics> => {
    if (topics === undefined) throw new Error('The app has not been made.')
    return topics
  }
  return {
    make: (world) => {
      const app = createApp({ id: 'relay' })
      const entries = app.topic('entries', { key: 'string', value: json<Entry>() })
      const copies = app.topic('copies', { key: 'string', value: json<Entry>() })
      topics = { entries, copies }
      app.agent('relay', entries, async (stream) => {
        for await (const { key, number } of stream) {
          await world.pause()
          await copies.send({ key, value: { key, number } })
        }
      })
      return app
    },
    input: () => numberedRecords(made().entries, { records: 40, value: (key, number): Entry => ({ key, number }) })(),
    check: (run) => {
      const { entries, copies } = made()
      const expected = run.input.map(({ value }) => {
        if (value === null) throw new Error('A record that was sent in has no value.')
        return { ...entries.value.decode(value), cut: false }
      })
      checkSent(copies, { run, expected })
    },
  }
}
