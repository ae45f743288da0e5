import { createApp } from '@millrace/app'
import { describe, expect, test } from 'vitest'
import { numberedRecords } from './input-feed.ts'
import { ledgerCase, type LedgerOptions, type ScenarioName } from './ledger-app.fixture.ts'
import {
  asksOnce,
  commitsTooFar,
  fencesLate,
  ignoresItsLease,
  leavesStoresOpen,
  losesRows,
  losesSends,
  neverResumes,
  sendsTransactionsTwice,
  storesTwice,
} from './planted-defects.fixture.ts'
import {
  expiresEarly,
  forgetsOffsets,
  forgetsStoredOffsets,
  keepsTimeWithRows,
  sendsTimeEarly,
} from './planted-time-defects.fixture.ts'
import { PLANNED_FAULTS } from './settled-faults.ts'
import { simulate, SimulationError } from './simulate.ts'
import type { SimulationFaults, SimulationOptions, SimulationReport } from './simulation-options.ts'

const GUARANTEES = ['at-least-once', 'exactly-once'] as const

/** Of each guarantee; `SEEDS=2000` for more, `SEEDS=501-1500` for some. */
const SEEDS = seedsFrom(process.env['SEEDS'] ?? '6')
/** Of short runs, in which nothing blocks an event loop. */
const NOT_BLOCKING: readonly ScenarioName[] = Object.freeze([
  'batches',
  'deadLetters',
  'globalTotals',
  'readingFirst',
  'refusedSends',
  'spilling',
  'timers',
])

const WINDOWS = { scenarios: ['windows'], always: true } as const satisfies LedgerOptions

/** No faults of workers and of the group's coordinator. */
const QUIET = { kills: 0, stops: 0, rebalances: 0, stalls: 0, deafStops: 0, cuts: 0, deploys: 0, statics: 0, blocks: 0 }
/** Versions of the app that a run may deploy. */
const RELEASES = 2

/** What the first of these seeds that fails says. `from`: default 1. */
async function firstFailure(
  guarantee: (typeof GUARANTEES)[number],
  { from = 1, to, ...ledger }: { readonly from?: number; readonly to: number } & LedgerOptions,
  more: Partial<SimulationOptions> | (() => Partial<SimulationOptions>),
): Promise<SimulationError | undefined> {
  const { make, ...app } = ledgerCase(guarantee, ledger)
  for (let seed = from; seed <= to; seed++) {
    try {
      await simulate(make, { seed, ...app, releases: RELEASES, ...(typeof more === 'function' ? more() : more) })
    } catch (error) {
      if (error instanceof SimulationError) return error
      throw error
    }
  }
  return undefined
}

describe.each(GUARANTEES)('%s', (guarantee) => {
  test(`seeds ${SEEDS.first} to ${SEEDS.last}`, async () => {
    const { make, input, check, isPending } = ledgerCase(guarantee)
    const failures: string[] = []
    const happened = new Set<string>()
    for (let seed = SEEDS.first; seed <= SEEDS.last; seed++) {
      try {
        const { faults } = await simulate(make, { seed, input, check, isPending, releases: RELEASES })
        for (const fault of Object.keys(faults)) happened.add(fault)
      } catch (error) {
        if (!(error instanceof SimulationError)) throw error
        failures.push(error.message.split('\n').slice(0, 2).join(' '))
      }
    }
    expect(failures).toEqual([])
    // It needs a crash at a certain moment, which not every few seeds have: see the timers.
    happened.delete('tornSends')
    // A fault that never happens proves nothing.
    const ofRequests = guarantee === 'exactly-once' ? ['commitErrors', 'transactionTimeouts'] : ['lostAnswers']
    const asked: readonly string[] = ['lags', 'evictions', 'topicChanges']
    const planned = PLANNED_FAULTS.filter(
      (fault) => !asked.includes(fault) && (guarantee === 'exactly-once' || fault !== 'delays'),
    )
    expect([...happened].toSorted()).toEqual([...planned, ...ofRequests].toSorted())
  }, 3_600_000)

  test('the same seed takes the same steps; another seed takes others', async () => {
    const { make, input, check, isPending } = ledgerCase(guarantee)
    const trace = async (seed: number): Promise<string> =>
      (await simulate(make, { seed, input, check, isPending, releases: RELEASES })).trace.join('\n')
    for (const seed of [3, 7]) expect(await trace(seed)).toBe(await trace(seed))
    expect(await trace(3)).not.toBe(await trace(4))
  })

  test('without faults nothing is counted twice, on one worker or several', async () => {
    // A handler that blocks is a fault.
    const { make, input, check, isPending } = ledgerCase(guarantee, {
      scenarios: [...NOT_BLOCKING, 'gathering'],
    })
    for (const workers of [1, 4]) {
      const { faults, records } = await simulate(make, {
        seed: workers,
        workers,
        input,
        check,
        isPending,
        faults: 'none',
      })
      expect(faults).toEqual({})
      expect(records).toBe(60)
    }
  })
})

/** Nothing after which at least once may handle an event again. */
const LOST_ANSWERS = {
  ...{ kills: 0, silences: 0, freezes: 0, stalls: 0, deafStops: 0, deploys: 0 },
  lostAnswers: 0.3,
} as const

test('at least once, lost responses alone cause no duplicates', async () => {
  const { make, input, check, isPending } = ledgerCase('at-least-once')
  let lost = 0
  for (let seed = 1; seed <= 3; seed++) {
    const { faults } = await simulate(make, { seed, input, check, isPending, faults: LOST_ANSWERS })
    lost += faults['lostAnswers'] ?? 0
  }
  expect(lost).toBeGreaterThan(30)
})

/** Rebalances while events take long, and little else. */
const LONG_WORK = { ...QUIET, silences: 0, freezes: 0, intruders: 0, rebalances: 5 }

test.each(GUARANTEES)('workers that stop with long events do not delay a rebalance, %s', async (guarantee) => {
  const { make, input, check, isPending } = ledgerCase(guarantee, { scenarios: ['longEvents'], always: true })
  let stops = 0
  for (let seed = 1; seed <= 4; seed++) {
    const { faults } = await simulate(make, { seed, input, check, isPending, faults: { ...LONG_WORK, stops: 5 } })
    stops += faults['stops'] ?? 0
  }
  expect(stops).toBeGreaterThan(5)
})

test.each(GUARANTEES)('each entry is joined with its copy, %s', async (guarantee) => {
  const to = Number(process.env['JOIN_SEEDS'] ?? 2)
  // The next release counts copies from their beginning, which holds where nobody has read them before.
  const faults = { deploys: 0 }
  expect(
    (await firstFailure(guarantee, { to, scenarios: ['joining'], always: true }, { faults }))?.message,
  ).toBeUndefined()
})

test.each(GUARANTEES)('windows and sessions close, exactly once if the guarantee is, %s', async (guarantee) => {
  const { first: from, last: to } = seedsFrom(process.env['WINDOW_SEEDS'] ?? '2')
  expect((await firstFailure(guarantee, { from, to, ...WINDOWS }, {}))?.message).toBeUndefined()
})

test.each(GUARANTEES)('timers fire, and a crash loses none, %s', async (guarantee) => {
  const { make, ...app } = ledgerCase(guarantee, { scenarios: ['timers'], always: true })
  const last = Number(process.env['TIMER_SEEDS'] ?? 2)
  let torn = 0
  // Which seeds tear sends changes with the app: more of them, until one has.
  const isTried = (seed: number): boolean =>
    seed > last && (guarantee === 'exactly-once' || torn > 0 || seed > last + 10)
  for (let seed = 1; !isTried(seed); seed++) {
    const { faults } = await simulate(make, { seed, ...app, faults: { kills: 8 } })
    torn += faults['tornSends'] ?? 0
  }
  if (guarantee === 'at-least-once') expect(torn).toBeGreaterThan(0)
})

test.each(GUARANTEES)('events that wait come back, in the order of their keys, %s', async (guarantee) => {
  const { first: from, last: to } = seedsFrom(process.env['RETRY_SEEDS'] ?? '2')
  const scenario = { scenarios: ['retries'], always: true } as const
  expect((await firstFailure(guarantee, { from, to, ...scenario }, { faults: { kills: 8 } }))?.message).toBeUndefined()
})

describe('exactly once', () => {
  const run = (
    scenario: ScenarioName,
    options: Pick<SimulationOptions, 'seed' | 'faults'>,
  ): Promise<SimulationReport> => {
    const { make, input, check, isPending } = ledgerCase('exactly-once', { scenarios: [scenario], always: true })
    return simulate(make, { input, check, isPending, releases: RELEASES, ...options })
  }

  test('the progress of many agents is kept in pages through all faults', async () => {
    let pages = 0
    for (let seed = 1; seed <= 4; seed++) {
      const { trace } = await run('manyNames', { seed })
      pages += trace.filter((line) => line.includes('in ledger-__progress-')).length
    }
    expect(pages).toBeGreaterThan(20)
  })

  test('a rebalance does not wait for a commit that waits for a long event', async () => {
    let rebalances = 0
    for (let seed = 1; seed <= 4; seed++) {
      const { faults } = await run('longSpills', { seed, faults: LONG_WORK })
      rebalances += faults['rebalances'] ?? 0
    }
    expect(rebalances).toBeGreaterThan(5)
  })

  test('tasks that wait for a partition do not block others, however much they send', async () => {
    let delays = 0
    for (let seed = 1; seed <= 6; seed++) {
      const { faults } = await run('largeSends', { seed, faults: { ...QUIET, delays: 4 } })
      delays += faults['delays'] ?? 0
    }
    expect(delays).toBeGreaterThan(6)
  })
})

describe('planted defects are caught', () => {
  test('a commit past the finished position', async () => {
    const failure = await firstFailure('at-least-once', { to: 5 }, { wrapTransport: commitsTooFar })
    expect(failure?.message).toMatch(/commits \S+@\d+, but events are finished up to \d+ only/)
  })

  test.each(GUARANTEES)('a missing changelog row, %s', async (guarantee) => {
    const failure = await firstFailure(guarantee, { to: 5 }, { wrapTransport: losesRows })
    expect(failure?.message).toMatch(/row "[^"]+" of \S+ partition \d on \S+: changelog \S+, store|counts has/)
  })

  test('a lease that is not checked', async () => {
    const faults = { ...QUIET, silences: 2, freezes: 8, slow: 0.1 }
    const scenarios: readonly ScenarioName[] = ['readingFirst']
    const failure = await firstFailure(
      'at-least-once',
      { to: 20, scenarios },
      { faults, wrapTransport: ignoresItsLease },
    )
    expect(failure?.message).toMatch(/without a lease|changelog \S+, store|went back/)
    const range = { to: failure?.report.seed ?? 20, scenarios }
    expect(await firstFailure('at-least-once', range, { faults })).toBeUndefined()
  })

  test('a lease that is not checked again when a send is written', async () => {
    const faults = { ...QUIET, silences: 2, freezes: 8 }
    const scenarios: readonly ScenarioName[] = ['readingFirst']
    const failure = await firstFailure('at-least-once', { to: 30, scenarios }, { faults, wrapTransport: asksOnce })
    expect(failure?.message).toMatch(/without a lease|changelog \S+, store/)
    const range = { to: failure?.report.seed ?? 30, scenarios }
    expect(await firstFailure('at-least-once', range, { faults })).toBeUndefined()
  })

  test('a task whose earlier owner is fenced only after the offsets were read', async () => {
    const failure = await firstFailure('exactly-once', { from: 46, to: 150 }, { wrapTransport: fencesLate })
    expect(failure?.message).toMatch(/ \d times|counts has|went back|without a lease/)
  })

  test('partitions that stay paused', async () => {
    const scenario = { scenarios: ['gathering'], always: true } as const
    const failure = await firstFailure('exactly-once', { to: 3, ...scenario }, { wrapTransport: neverResumes })
    expect(failure?.message).toMatch(/did not come to rest/)
  })

  test('stores that are not closed', async () => {
    const failure = await firstFailure('at-least-once', { to: 3 }, { wrapStore: leavesStoresOpen })
    expect(failure?.message).toMatch(/is open already|left stores open|changelog \S+, store/)
  })

  test('missing sends', async () => {
    const failure = await firstFailure('at-least-once', { to: 3 }, { wrapTransport: losesSends })
    expect(failure?.message).toMatch(/copies has lost/)
  })

  test('a producer that is not idempotent', async () => {
    const failure = await firstFailure(
      'at-least-once',
      { to: 3, scenarios: ['batches', 'deadLetters'] },
      { faults: LOST_ANSWERS, wrapTransport: storesTwice },
    )
    expect(failure?.message).toMatch(/ 2 times| after |has \d+ for/)
  })

  test('a transaction with duplicates', async () => {
    const failure = await firstFailure('exactly-once', { to: 3 }, { wrapTransport: sendsTransactionsTwice })
    expect(failure?.message).toMatch(/ 2 times/)
  })
})

describe('planted defects of event time are caught', () => {
  const faults = { kills: 8 }

  test('event time that is kept with the rows', async () => {
    const failure = await firstFailure('at-least-once', { to: 30, ...WINDOWS }, () => ({
      faults,
      wrapTransport: keepsTimeWithRows(),
    }))
    expect(failure?.message).toMatch(/late|not closed/)
  })

  test('rows that expire by the running event time', async () => {
    const failure = await firstFailure('at-least-once', { to: 3, ...WINDOWS, plant: expiresEarly }, { faults })
    expect(failure?.message).toMatch(/was deleted \d+ ms before event time is committed that far/)
  })

  test('event time that is sent into a repartition topic before it is committed', async () => {
    const failure = await firstFailure(
      'at-least-once',
      { from: 44, to: 70, ...WINDOWS },
      { faults, wrapTransport: sendsTimeEarly },
    )
    expect(failure?.message).toMatch(/events were late/)
  })

  test('rows of dedupe without the offset of their event', async () => {
    const failure = await firstFailure(
      'at-least-once',
      { from: 46, to: 75, scenarios: ['timers'], always: true },
      { faults, wrapTransport: forgetsOffsets, wrapStore: forgetsStoredOffsets },
    )
    expect(failure?.message).toMatch(/deduped has lost/)
  })
})

test('an unknown fault is refused', async () => {
  const { make, input } = ledgerCase('at-least-once')
  const faults: SimulationFaults = JSON.parse('{ "crashes": 1 }')
  await expect(simulate(make, { seed: 1, input, faults })).rejects.toMatchObject({ code: 'DEFINITION_INVALID' })
})

describe('a failing seed', () => {
  test('is reported with the call that repeats it, and fails again in the same way', async () => {
    const { make, input, check, isPending } = ledgerCase('at-least-once')
    const options: SimulationOptions = {
      seed: 2,
      workers: 2,
      faults: { kills: 1 },
      input,
      check,
      isPending,
      wrapTransport: losesSends,
    }
    const run = async (): Promise<SimulationError> => {
      try {
        await simulate(make, options)
      } catch (error) {
        if (error instanceof SimulationError) return error
        throw error
      }
      throw new Error('The run did not fail.')
    }
    const [first, second] = [await run(), await run()]
    expect(first.message).toContain('Seed 2')
    expect(first.message).toContain('simulate(app, { seed: 2, workers: 2, faults: { kills: 1 }, input, check })')
    expect(second.report.trace).toEqual(first.report.trace)
    expect(second.message).toBe(first.message)
  })

  test('leaves the app and Math.random unchanged', async () => {
    const { random } = Math
    const app = createApp({ id: 'failing' })
    const topic = app.topic('numbers', { key: 'string', value: 'number' })
    app.agent(
      'fail',
      topic,
      async (stream) => {
        for await (const number of stream) if (number === 3) throw new Error('never three')
      },
      { onError: 'stop' },
    )
    const input = numberedRecords(topic, { records: 20, keys: 2, value: (_key, number) => number })
    await expect(simulate(app, { seed: 1, workers: 2, input })).rejects.toThrow(/never three/)
    expect(Math.random).toBe(random)
    const fine = numberedRecords(topic, { records: 6, keys: 2, value: () => 1 })
    await simulate(app, { seed: 2, workers: 2, input: fine })
  })
})

function seedsFrom(text: string): { readonly first: number; readonly last: number } {
  const [, first, last] = /^(?:(\d+)-)?(\d+)$/.exec(text) ?? []
  if (last === undefined) throw new Error(`SEEDS=${text} is neither a number nor a range such as 501-1500.`)
  return { first: Number(first ?? 1), last: Number(last) }
}
