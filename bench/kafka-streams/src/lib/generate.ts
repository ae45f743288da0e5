import fc from 'fast-check'
import type { Operator, Scenario, ScenarioRecord } from './scenario.ts'

/** One step of time is as many milliseconds: what is no multiple of it lies between two records. */
const STEP = 10

type Join = 'inner' | 'left' | 'outer'

const steps = (least: number, most: number): fc.Arbitrary<number> =>
  fc.integer({ min: least, max: most }).map((count) => count * STEP)
const bothJoins = fc.constantFrom<Exclude<Join, 'outer'>>('inner', 'left')
const allJoins = fc.constantFrom<Join>('inner', 'left', 'outer')

/** Kinds of scenarios, and how many of each are committed. */
const KINDS: readonly (readonly [name: string, count: number, fc.Arbitrary<Omit<Scenario, 'name'>>])[] = [
  [
    'tumbling',
    5,
    scenarios(fc.record({ kind: fc.constant('tumbling' as const), size: steps(1, 5), grace: steps(0, 4) }), {
      disorder: 80,
      rights: false,
    }),
  ],
  [
    'hopping',
    5,
    scenarios(
      fc
        .record({ size: fc.integer({ min: 2, max: 6 }), every: fc.integer({ min: 1, max: 5 }), grace: steps(0, 4) })
        .map(({ size, every, grace }) => ({
          kind: 'hopping' as const,
          size: size * STEP,
          every: Math.min(size, every) * STEP,
          grace,
        })),
      { disorder: 80, rights: false },
    ),
  ],
  [
    'session',
    6,
    scenarios(
      fc.record({ kind: fc.constant('session' as const), gap: steps(1, 3), grace: steps(0, 4) }).map(betweenRecords),
      { disorder: 120, rights: false },
    ),
  ],
  [
    'stream-stream',
    9,
    fc
      .record({
        kind: fc.constant('stream-stream' as const),
        join: allJoins,
        before: steps(0, 3),
        after: steps(0, 3),
        grace: steps(0, 4),
      })
      .map(betweenRecords)
      .chain((operator) => scenarios(fc.constant(operator), { disorder: operator.grace, rights: true })),
  ],
  [
    'stream-stream replayed',
    2,
    scenarios(
      fc
        .record({
          kind: fc.constant('stream-stream' as const),
          join: allJoins,
          before: steps(0, 3),
          after: steps(0, 3),
          grace: steps(0, 1),
        })
        .map(betweenRecords),
      { disorder: 0, rights: true },
    ).map((scenario) => ({ ...scenario, arrival: 'all' as const })),
  ],
  [
    'stream-table',
    4,
    scenarios(fc.record({ kind: fc.constant('stream-table' as const), join: bothJoins, on: fc.boolean() }), {
      disorder: 40,
      rights: true,
    }),
  ],
  [
    'stream-table replayed',
    2,
    scenarios(fc.record({ kind: fc.constant('stream-table' as const), join: bothJoins, on: fc.constant(false) }), {
      disorder: 0,
      rights: true,
    }).map(({ operator, records }) => ({ operator, records: tableFirst(records), arrival: 'all' as const })),
  ],
  [
    'global-table',
    2,
    scenarios(fc.record({ kind: fc.constant('global-table' as const), join: bothJoins }), {
      disorder: 40,
      rights: true,
    }),
  ],
  [
    'table-table',
    4,
    scenarios(fc.record({ kind: fc.constant('table-table' as const), join: allJoins }), { disorder: 40, rights: true }),
  ],
  [
    'foreign-key',
    4,
    scenarios(fc.record({ kind: fc.constant('foreign-key' as const), join: bothJoins }), {
      disorder: 40,
      rights: true,
    }),
  ],
  [
    'sliding',
    6,
    fc
      .record({ kind: fc.constant('sliding' as const), difference: steps(1, 5), grace: steps(0, 4) })
      .chain((operator) => scenarios(fc.constant(operator), { disorder: operator.grace, rights: false })),
  ],
]

/** The scenarios of a seed, as many of each kind as are committed, or `times` as many. */
export function generate(seed: number, times = 1): readonly Scenario[] {
  return KINDS.flatMap(([kind, count, arbitrary], n) =>
    fc
      .sample(arbitrary, { seed: seed + n, numRuns: count * times })
      .map((scenario, nth) => ({ name: `${kind} ${nth + 1}`, ...scenario })),
  )
}

/** Nothing closes at the very time of a record: the differences `session-last-moment` and `join-last-moment`. */
function betweenRecords<O extends { readonly grace: number }>(operator: O): O {
  return { ...operator, grace: operator.grace + STEP / 2 }
}

interface Shape {
  /** How far a record may be behind the latest one before it, in milliseconds. */
  readonly disorder: number
  /** Whether there are two sides. */
  readonly rights: boolean
}

function scenarios(
  operators: fc.Arbitrary<Operator>,
  { disorder, rights }: Shape,
): fc.Arbitrary<Omit<Scenario, 'name'>> {
  const record = fc.record({
    topic: rights ? fc.constantFrom('left' as const, 'right' as const) : fc.constant('left' as const),
    key: fc.constantFrom('a', 'b', 'c'),
    refersTo: fc.constantFrom('a', 'b', 'c', ''),
    isNull: fc.nat({ max: 9 }).map((draw) => draw === 0),
    // Mostly little by little, with equal times among them, and now and then a leap.
    passes: fc.oneof(
      { weight: 9, arbitrary: fc.nat({ max: 2 }) },
      { weight: 1, arbitrary: fc.integer({ min: 5, max: 12 }) },
    ),
    behind: fc.oneof(
      { weight: 2, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.nat({ max: Math.floor(disorder / STEP) }) },
    ),
  })
  return fc
    .record({ operator: operators, drawn: fc.array(record, { minLength: 12, maxLength: 24, size: 'max' }) })
    .map(({ operator, drawn }) => {
      let time = 20 * STEP
      const records = drawn.map(({ topic, key, refersTo, isNull, passes, behind }, nth): ScenarioRecord => {
        time += passes * STEP
        const value = topic === 'left' && refersToKeys(operator) ? `${refersTo}/${nth}` : String(nth)
        const mayBeNull = topic === 'right' || !dropsNull(operator)
        return { topic, key, value: isNull && mayBeNull ? null : value, timestamp: time - behind * STEP }
      })
      return { operator, records: [...records, ...ends(time, rights)] }
    })
}

/** Far behind all others, so that what waits for time comes. They meet nothing. */
function ends(time: number, rights: boolean): readonly ScenarioRecord[] {
  const end = (topic: 'left' | 'right'): ScenarioRecord => {
    return { topic, key: `end of ${topic}`, value: '/end', timestamp: time + 100 * STEP }
  }
  return rights ? [end('left'), end('right')] : [end('left')]
}

/** Whether Kafka Streams drops records of the stream without a value: the differences `table-join-null` and `sliding-null`. */
function dropsNull({ kind }: Operator): boolean {
  return kind === 'stream-table' || kind === 'global-table' || kind === 'sliding'
}

function refersToKeys(operator: Operator): boolean {
  return (
    operator.kind === 'global-table' ||
    operator.kind === 'foreign-key' ||
    (operator.kind === 'stream-table' && operator.on)
  )
}

/** At equal times, a table's record goes before a stream's. */
function tableFirst(records: readonly ScenarioRecord[]): readonly ScenarioRecord[] {
  const rank = ({ topic }: ScenarioRecord): number => (topic === 'right' ? 0 : 1)
  return records.toSorted((one, other) => one.timestamp - other.timestamp || rank(one) - rank(other))
}
