import { createApp, json, type App, type Topic } from '@millrace/app'
import { numberedRecords } from './input-feed.ts'
import { batches } from './scenarios/batches.fixture.ts'
import { blocking } from './scenarios/blocking.fixture.ts'
import { counting } from './scenarios/counting.fixture.ts'
import { deadLetters } from './scenarios/dead-letters.fixture.ts'
import { gathering } from './scenarios/gathering.fixture.ts'
import { globalTotals } from './scenarios/global-totals.fixture.ts'
import { joining } from './scenarios/joining.fixture.ts'
import { largeSends } from './scenarios/large-sends.fixture.ts'
import { longEvents } from './scenarios/long-events.fixture.ts'
import { longSpills } from './scenarios/long-spills.fixture.ts'
import { manyNames } from './scenarios/many-names.fixture.ts'
import { nextRelease } from './scenarios/next-release.fixture.ts'
import { readingFirst } from './scenarios/reading-first.fixture.ts'
import { refusedSends } from './scenarios/refused-sends.fixture.ts'
import { hasWaitingEvents, retries } from './scenarios/retries.fixture.ts'
import {
  type Entry,
  KEYS,
  type Scenario,
  type ScenarioOutcome,
  type ScenarioSetting,
  type SentEntry,
} from './scenarios/scenario.fixture.ts'
import { spilling } from './scenarios/spilling.fixture.ts'
import { hasTimers, timers } from './scenarios/timers.fixture.ts'
import { expiryWatch, hasOpenWindows, windows } from './scenarios/windows.fixture.ts'
import type { SimulatedInput, SimulatedRun, SimulatedWorld, SimulationOptions } from './simulation-options.ts'

export type Guarantee = 'at-least-once' | 'exactly-once'

/** What may be in a run beside `counting`, which is in each. */
const SCENARIOS: Readonly<Record<ScenarioName, Scenario>> = Object.freeze({
  batches,
  blocking,
  deadLetters,
  gathering,
  globalTotals,
  joining,
  largeSends,
  longEvents,
  longSpills,
  manyNames,
  readingFirst,
  refusedSends,
  retries,
  spilling,
  timers,
  windows,
})

export type ScenarioName =
  | 'batches'
  | 'blocking'
  | 'deadLetters'
  | 'gathering'
  | 'globalTotals'
  | 'joining'
  | 'largeSends'
  | 'longEvents'
  | 'longSpills'
  | 'manyNames'
  | 'readingFirst'
  | 'refusedSends'
  | 'retries'
  | 'spilling'
  | 'timers'
  | 'windows'

const ALL_SCENARIOS: readonly ScenarioName[] = Object.freeze([
  'batches',
  'deadLetters',
  'globalTotals',
  'readingFirst',
  'refusedSends',
  'spilling',
  'blocking',
  'gathering',
  'longEvents',
  'timers',
])
/**
 * They show nothing at least once: names that have no room beside an offset double, as do events that a rebalance does not
 * wait for, and no send waits for a commit.
 */
const EXACTLY_ONCE_ONLY: readonly ScenarioName[] = Object.freeze(['largeSends', 'manyNames', 'longSpills'])

export interface LedgerOptions {
  /** Each of these is in a share of the runs. Default: all. */
  readonly scenarios?: readonly ScenarioName[]
  /** All of them are in every run. Default `false`. */
  readonly always?: boolean
  /** Plants a defect in a view of `windows`. */
  readonly plant?: ScenarioSetting['plant']
}

export interface LedgerCase {
  readonly make: (world: SimulatedWorld) => App
  readonly input: () => Iterable<SimulatedInput>
  readonly check: (run: SimulatedRun) => void
  readonly isPending: NonNullable<SimulationOptions['isPending']>
  readonly watch: NonNullable<SimulationOptions['watch']>
}

/** One release of the app in a run. */
interface Ledger {
  readonly app: App
  readonly entries: Topic<string, Entry>
  readonly checks: readonly ((outcome: ScenarioOutcome) => void)[]
}

/** What the seed has decided for all releases of a run. */
interface Plan {
  readonly scenarios: readonly Scenario[]
  readonly maxUncommitted: number
  readonly remembered: Set<string>
  readonly plant: ScenarioSetting['plant']
}

const RECORDS = 60
/** So small that members warm up. */
const LAG = 2

function declare(
  world: SimulatedWorld,
  guarantee: Guarantee,
  { scenarios, maxUncommitted, remembered, plant }: Plan,
): Ledger {
  const app = createApp({
    id: 'ledger',
    processingGuarantee: guarantee,
    acceptableRecoveryLag: LAG,
    maxUncommitted,
    // A few of `largeSends`.
    ...(scenarios.includes(largeSends) ? { maxPendingSendBytes: 1024 } : {}),
    // A copy that is made late, because its agent stands still, is not late by event time.
    ...(scenarios.includes(joining) || scenarios.includes(windows) ? { idleAfter: false } : {}),
    // Less than the events of `longSpills` take.
    ...(scenarios.includes(longSpills) ? { drainTimeout: '2s' } : {}),
    // Less than two pieces of `spilling`, more than all else sends.
    maxEventBytes: 400,
    transactionTimeout: '20s',
    shutdownTimeout: '20s',
    onOffsetLost: 'earliest',
  })
  const entries = app.topic('entries', { key: 'string', value: json<Entry>() })
  const copies = app.topic('copies', { key: 'string', value: json<Entry>() })
  const all = world.release > 1 ? [...scenarios, nextRelease] : scenarios
  return { app, entries, checks: all.map((scenario) => scenario({ app, world, entries, copies, remembered, plant })) }
}

function scenariosOf(guarantee: Guarantee): readonly ScenarioName[] {
  return guarantee === 'exactly-once' ? [...ALL_SCENARIOS, ...EXACTLY_ONCE_ONLY] : ALL_SCENARIOS
}

/** The app, what is sent to it, and what must have come of it. For one run at a time. */
export function ledgerCase(
  guarantee: Guarantee,
  { scenarios = scenariosOf(guarantee), always = false, plant = () => {} }: LedgerOptions = {},
): LedgerCase {
  let plan: Plan = { scenarios: [counting], maxUncommitted: 50_000, remembered: new Set(), plant }
  let latest: Ledger | undefined
  const current = (): Ledger => {
    if (latest === undefined) throw new Error('The app has not been made.')
    return latest
  }
  return {
    make: (world) => {
      if (world.release === 1) {
        const some = scenarios.filter(() => always || world.random() < 0.35)
        const maxUncommitted = world.random() < 0.3 || some.includes('gathering') ? 3 : 50_000
        plan = {
          scenarios: [counting, ...some.map((name) => SCENARIOS[name])],
          maxUncommitted,
          remembered: new Set(),
          plant,
        }
      }
      latest = declare(world, guarantee, plan)
      return latest.app
    },
    input: () => {
      const value = (key: string, number: number): Entry => ({ key, number })
      return numberedRecords(current().entries, { records: RECORDS, keys: KEYS.length, value })()
    },
    watch: expiryWatch,
    isPending: (log, nowMs) => hasTimers(log, nowMs) || hasWaitingEvents(log, nowMs) || hasOpenWindows(log),
    check: (run) => {
      const { entries, checks } = current()
      const input = run.input.map((record): SentEntry => {
        if (record.value === null) throw new Error('A record that was sent in has no value.')
        return { ...entries.value.decode(record.value), cut: run.wasCut(record) }
      })
      if (input.length !== RECORDS) throw new Error(`${input.length} records were sent in, not ${RECORDS}.`)
      // At least once, what a task has sent since its last commit goes out again when a record of it is refused.
      const mayDouble = run.mayDouble || (!run.exactlyOnce && plan.scenarios.includes(refusedSends))
      for (const check of checks) check({ run: { ...run, mayDouble }, input })
    },
  }
}
