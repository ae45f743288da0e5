import { type Clock, manualClock, type RawRecord, type RecordBatch } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { silentLog } from '../fixtures/test-worker.fixture.ts'
import { ChangelogFollower, type RestoreEnvironment } from './changelog-follower.ts'
import { TaskStores } from './task-stores.ts'

/** The changelog's `delete.retention.ms`. */
const RETENTION_MS = 1000
const APART_MS = RETENTION_MS / 2
const counts = countTable('t')

interface LoggedRow {
  readonly offset: number
  readonly key: string
  readonly value: string | null
  /** The time by the clock of its writer. */
  readonly timestamp: number
  /** The time by the broker's clock. */
  readonly appendedMs: number
}

/** A compacted partition. Its broker's clock is right. */
class Changelog {
  rows: LoggedRow[] = []
  end = 0

  append(row: Omit<LoggedRow, 'offset'>): void {
    this.rows.push({ ...row, offset: this.end++ })
  }

  /** Compacts all but the last row: keeps the latest row of each key, and tombstones as long as they are retained. */
  compact(nowMs: number): void {
    const closed = this.rows.filter(({ offset }) => offset < this.end - 1)
    const last = new Map(closed.map(({ key, offset }) => [key, offset]))
    this.rows = this.rows.filter(({ key, offset, value, appendedMs }) => {
      if (offset === this.end - 1) return true
      return last.get(key) === offset && (value !== null || nowMs - appendedMs <= RETENTION_MS)
    })
  }

  read(position: number, most: number): RecordBatch {
    const nextOffset = Math.min(position + most, this.end)
    const records = this.rows
      .filter(({ offset }) => offset >= position && offset < nextOffset)
      .map(({ offset, key, value, timestamp }): RawRecord => ({
        offset,
        timestamp,
        key: Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
        headers: [],
      }))
    const whole = records.length === nextOffset - position
    return { topic: 'c', partition: 0, position, records, nextOffset, bytes: 0, endOffset: this.end, whole }
  }

  /** The rows that a store must have. */
  get truth(): ReadonlyMap<string, string> {
    return new Map([...this.all].flatMap(([key, value]) => (value === null ? [] : [[key, value]])))
  }

  readonly all = new Map<string, string | null>()
}

interface Recovering {
  /** How many offsets a batch has. */
  readonly most: number
  /** The recovery ends after so many batches. */
  readonly batches?: number
}

/** Opens a worker's store and reads to the end. Returns whether the store was rebuilt. */
async function recover(
  stores: TaskStores,
  changelog: Changelog,
  clock: Clock,
  { most, batches = Infinity }: Recovering,
): Promise<boolean> {
  let rebuilt = false
  const environment: RestoreEnvironment = {
    stores,
    topics: { changelogId: () => 'id', changelogConfig: () => ({ 'delete.retention.ms': String(RETENTION_MS) }) },
    reader: () => {
      throw new Error('It is read by hand.')
    },
    clock,
    log: { ...silentLog, warn: () => void (rebuilt = true) },
    sensor: { recoveryProgress: () => {} },
    fail: (error) => {
      throw error
    },
  }
  const ref = { definition: counts, partition: 0 }
  const follower = await ChangelogFollower.open(environment, ref, 'task', new AbortController().signal)
  await follower.begin({ beginning: 0, end: changelog.end })
  for (let read = 0; read < batches && follower.remaining > 0; read++) {
    if (follower.absorb(changelog.read(follower.position, most)) === 'anew') await follower.beginAnew()
    const change = follower.take()
    if (change !== undefined) await stores.commit([change])
  }
  await follower.close()
  return rebuilt
}

type Step =
  | { readonly do: 'write'; readonly key: number; readonly isDelete: boolean }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'compact' }

const skew = (mostMs: number): fc.Arbitrary<number> => fc.integer({ min: -mostMs, max: mostMs })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), key: fc.nat(3), isDelete: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 700 }) }) },
  { weight: 2, arbitrary: fc.constant({ do: 'compact' as const }) },
)
const steps = fc.array(step, { minLength: 4, maxLength: 30 })

interface Outcome {
  readonly isRight: boolean
  readonly rebuilt: boolean
  /** Whether no clock shows that the checkpoint's clock ran ahead, because no row from before its time is left. */
  readonly isHidden: boolean
}

interface Run {
  readonly before: readonly Step[]
  readonly after: readonly Step[]
  /** A recovery that broke off after so many batches, and the rows that were written afterwards. */
  readonly broken?: { readonly batches: number; readonly then: readonly Step[] }
  /**
   * Clock skews: of the worker that wrote the checkpoint, of the later writer, and of the worker that opens the store
   * again.
   */
  readonly skews: readonly [number, number, number]
  readonly most: number
  readonly compacts: boolean
}

/** Brings a store to the end of its changelog, leaves it unused while others write, and opens it again. */
async function run({ before, after, broken, skews, most, compacts }: Run): Promise<Outcome> {
  const time = manualClock({ now: 1_000_000 })
  const clockOf = (skewMs: number): Clock => ({ ...time, now: () => time.now() + skewMs, monotonic: () => 0 })
  const changelog = new Changelog()
  const stores = new TaskStores(new HeapStore())
  let number = 0
  const happen = async (all: readonly Step[], writer: Clock): Promise<void> => {
    for (const one of all)
      if (one.do === 'wait') await time.advance(one.ms)
      else if (one.do === 'compact') {
        if (compacts) changelog.compact(time.now())
      } else {
        const [key, value] = [`k${one.key}`, one.isDelete ? null : String(++number)]
        changelog.append({ key, value, timestamp: writer.now(), appendedMs: time.now() })
        changelog.all.set(key, value)
      }
  }
  const [first, other, last] = skews.map(clockOf)
  if (first === undefined || other === undefined || last === undefined) throw new Error('Three clocks.')
  await happen(before, first)
  await recover(stores, changelog, first, { most })
  const checkpoint = stores.checkpoint('t', 0)
  await happen(after, other)
  if (broken !== undefined) {
    await recover(stores, changelog, last, { most, batches: broken.batches })
    await happen(broken.then, other)
  }
  const rebuilt = await recover(stores, changelog, last, { most })
  const store = await stores.open('t', 0)
  const found = new Map(store.range().map(([key, value]) => [key.toString(), value.toString()]))
  const { offset = 0, wallTimeMs = 0 } = checkpoint ?? {}
  const witnesses = [last.now(), ...changelog.rows.flatMap((row) => (row.offset >= offset ? [row.timestamp] : []))]
  return {
    isRight: JSON.stringify([...found].sort()) === JSON.stringify([...changelog.truth].sort()),
    rebuilt,
    isHidden: witnesses.every((ms) => wallTimeMs <= ms + APART_MS),
  }
}

const most = fc.integer({ min: 1, max: 8 })
const broken = fc.record({ batches: fc.nat(4), then: steps })

test('clocks less than half of delete.retention.ms apart never keep a deleted key', async () => {
  const skews = fc.tuple(skew(APART_MS / 2), skew(APART_MS / 2), skew(APART_MS / 2))
  await fc.assert(
    fc.asyncProperty(steps, steps, broken, skews, most, async (before, after, breaks, clocks, size) => {
      const outcome = await run({ before, after, broken: breaks, skews: clocks, most: size, compacts: true })
      expect(outcome.isRight).toBe(true)
    }),
    { numRuns: 3000 },
  )
})

test('a checkpoint of a clock that runs ahead keeps no deleted key either, as long as any row or clock shows it', async () => {
  let rebuilds = 0
  await fc.assert(
    fc.asyncProperty(steps, steps, fc.integer({ min: 0, max: 20_000 }), most, async (before, after, ahead, size) => {
      const { isRight, isHidden, rebuilt } = await run({
        before,
        after,
        skews: [ahead, 0, 0],
        most: size,
        compacts: true,
      })
      if (rebuilt) rebuilds++
      expect(isRight || isHidden).toBe(true)
    }),
    { numRuns: 2000 },
  )
  expect(rebuilds).toBeGreaterThan(100)
})

test('without compaction no clock and no age causes a rebuild of the store', async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      steps,
      fc.tuple(skew(1e6), skew(1e6), skew(1e6)),
      most,
      async (before, after, clocks, size) => {
        const outcome = await run({ before, after, skews: clocks, most: size, compacts: false })
        expect(outcome).toMatchObject({ isRight: true, rebuilt: false })
      },
    ),
    { numRuns: 500 },
  )
})
