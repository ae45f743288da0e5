import { json, manualClock, NO_HEADERS, resolveCodec, type RawRecord } from '@millrace/core'
import type { Row, StorePartition } from '@millrace/core/driver'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memoryStore } from '../memory/memory-store.ts'
import { codecShape } from '../rows/row-shape.ts'
import { DuePartition } from './due-partition.ts'
import { AFTER_INTERNAL, COUNT_KEY, INTERNAL_PREFIX } from './due-keys.ts'
import type { DueRules } from './due-rules.ts'

interface Timer {
  readonly at: number
  /** Unique. */
  readonly id: number
  readonly expires: boolean
}

const START = Date.UTC(2026, 0, 1)
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f']
/** Their rows expire, and never fire. */
const EXPIRING = ['e', 'f']

const shape = codecShape({
  where: 'state "timers"',
  keySpec: 'string',
  keyCodec: resolveCodec('string', 'key', 'timers'),
  valueSpec: json<Timer>(),
  valueCodec: resolveCodec(json<Timer>(), 'row', 'timers'),
  partitionBy: undefined,
  migrate: undefined,
})

const rules: DueRules<Timer> = {
  keyCodec: 'string',
  clock: 'wall',
  dueOf: ({ at }) => at,
  isExpiry: ({ expires }) => expires,
  record: (key, value) => ({ key, value: shape.rows.encode(value), headers: NO_HEADERS }),
}

type Step =
  | { readonly type: 'set'; readonly key: string; readonly inMs: number }
  | { readonly type: 'cancel'; readonly key: string }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'give' | 'finish' | 'commit' }
  /** `part`: how much of the commit is on the broker. */
  | { readonly type: 'commitFails'; readonly part: number }
  /** `part`: how much of the commit under way is on the broker. */
  | { readonly type: 'crash'; readonly part: number; readonly isCommitted: boolean }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('set' as const),
      key: fc.constantFrom(...KEYS),
      inMs: fc.integer({ min: -10, max: 30 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('cancel' as const), key: fc.constantFrom(...KEYS) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.nat({ max: 40 }) }) },
  {
    weight: 14,
    arbitrary: fc.record({
      type: fc.constantFrom('give' as const, 'give' as const, 'finish' as const, 'finish' as const, 'commit' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('commitFails' as const),
      part: fc.nat({ max: 100 }).map((n) => 1 - n / 100),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('crash' as const),
      part: fc.nat({ max: 100 }).map((n) => 1 - n / 100),
      isCommitted: fc.nat({ max: 3 }).map((n) => n === 3),
    }),
  },
)

/** A state and its changelog on one side, what should be in it on the other. */
class World {
  readonly clock = manualClock({ now: START })
  readonly changelog = new Map<string, Row>()
  /** Ids of what has fired with a commit, in order. */
  readonly fired: number[] = []
  crashes = 0
  /** By finished events. */
  model = new Map<string, Timer>()
  #committed = new Map<string, Timer>()
  /** Writes by events since the last commit: their offsets are not committed, so they come again. */
  #writes: { readonly key: string; readonly timer: Timer | undefined }[] = []
  #firing: number[] = []
  #inFlight: RawRecord[] = []
  #note = ''
  #nextId = 0
  #store = memoryStore()
  #stored: StorePartition | undefined = undefined
  #state: DuePartition<Timer> | undefined = undefined
  changedBytes = 0

  get state(): DuePartition<Timer> {
    if (this.#state === undefined) throw new Error('It is not open.')
    return this.#state
  }

  async open(): Promise<void> {
    this.#store = memoryStore()
    this.#stored = await this.#store.open('timers', 0)
    await this.#store.commit([{ partition: this.#stored, rows: [...this.changelog.values()], checkpoint: undefined }])
    this.changedBytes = 0
    this.#state = new DuePartition(
      shape.rows,
      {
        task: { id: '1-0', partitions: 1, partition: 0 },
        store: this.#stored,
        cacheBytes: 0,
        maxRowBytes: 1_000_000,
        freeze: true,
        countChanged: (bytes) => void (this.changedBytes += bytes),
        clock: this.clock,
        touch: () => {},
        commitSoon: () => {},
        note: this.#note,
      },
      rules,
    )
    this.#inFlight = []
  }

  async run(step: Step): Promise<void> {
    switch (step.type) {
      case 'set':
        return this.write(step.key, {
          // Times of events may have fractions of milliseconds.
          // A time of its own: what is set again while its event is in flight would be passed over by `claim`.
          at: this.clock.now() + step.inMs * 1000 + this.#nextId * 1.5,
          id: this.#nextId++,
          expires: EXPIRING.includes(step.key),
        })
      case 'cancel':
        return this.write(step.key, undefined)
      case 'pass':
        return await this.pass(step.ms * 1000)
      case 'give':
        return this.give()
      case 'finish':
        return this.finish()
      case 'commit':
        return await this.commit()
      case 'commitFails':
        return this.failCommit(step)
      case 'crash':
        return await this.crash(step)
    }
  }

  write(key: string, timer: Timer | undefined): void {
    this.#writes.push({ key, timer })
    this.#apply(key, timer)
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms)
    for (const [key, { at, expires }] of this.model) if (expires && at <= this.clock.now()) this.model.delete(key)
  }

  give(): void {
    const record = this.state.due.next()
    if (record === undefined) return
    const { at, expires } = timerOf(record)
    expect(at).toBeLessThanOrEqual(this.clock.now())
    expect(expires).toBe(false)
    this.#inFlight.push(record)
  }

  /** The agent has come to the end of an event; what has been cancelled or moved since is passed over by `claim`. */
  finish(): void {
    const record = this.#inFlight.shift()
    if (record === undefined) return
    const key = String(record.key)
    const timer = timerOf(record)
    const isStill = this.model.get(key)?.id === timer.id
    const found = this.state.finishedValue(Buffer.from(key))
    expect(found?.id === timer.id).toBe(isStill)
    if (isStill) {
      this.#firing.push(timer.id)
      this.model.delete(key)
    }
    // Without an event in flight there is no claim: what has changed must be dropped by hand.
    if (isStill || found === undefined || found.at !== timer.at) this.state.due.finish(record)
    else this.#inFlight.push(record)
  }

  async commit(): Promise<void> {
    const { note } = this.state
    const rows = this.state.takeRows()
    this.#write(rows)
    if (this.#stored !== undefined) await this.#store.commit([{ partition: this.#stored, rows, checkpoint: undefined }])
    this.#madeCommit(note)
    this.state.rowsStored()
    // Another owner, who has the changelog alone, must find what this one has.
    const stored = (this.#stored?.range() ?? []).map(([key, value]) => [key.toString('latin1'), value] as const)
    expect(new Map([...this.changelog].map(([name, { value }]) => [name, value]))).toEqual(new Map(stored))
  }

  failCommit({ part }: { readonly part: number }): void {
    const rows = this.state.takeRows()
    this.#write(rows.slice(0, Math.floor(part * (rows.length + 1))))
    this.state.rowsReturned()
  }

  async crash({ part, isCommitted }: { readonly part: number; readonly isCommitted: boolean }): Promise<void> {
    this.crashes++
    const { note } = this.state
    const rows = this.state.takeRows()
    this.#write(isCommitted ? rows : rows.slice(0, Math.floor(part * (rows.length + 1))))
    if (isCommitted) this.#madeCommit(note)
    this.state.close()
    expect(this.changedBytes, 'bytes').toBe(0)
    const writes = this.#writes.splice(0)
    this.#firing = []
    this.model = new Map(this.#committed)
    await this.open()
    for (const { key, timer } of writes) this.write(key, timer)
    await this.pass(0)
  }

  /** All that is pending fires, and is committed. */
  async end(): Promise<void> {
    await this.pass(1_000_000)
    const pending = [...this.model.values()].map(({ id }) => id)
    for (let round = 0; round < 3 * KEYS.length; round++) {
      this.give()
      this.finish()
    }
    expect(this.model.size, 'model').toBe(0)
    await this.commit()
    for (const id of pending) expect(this.fired).toContain(id)
    await this.commit()
    expect(this.state.rows, 'rows').toBe(0)
    expect(this.changedBytes, 'bytes').toBe(0)
  }

  #apply(key: string, timer: Timer | undefined): void {
    this.state.entryOf(Buffer.from(key)).replace(timer, undefined)
    if (timer === undefined) this.model.delete(key)
    else this.model.set(key, timer)
  }

  #madeCommit(note: string): void {
    this.#note = note
    this.#committed = new Map(this.model)
    this.#writes = []
    this.fired.push(...this.#firing.splice(0))
  }

  #write(rows: readonly Row[]): void {
    for (const row of rows) {
      const name = row.key.toString('latin1')
      if (row.value === null) this.changelog.delete(name)
      else this.changelog.set(name, row)
    }
  }
}

function timerOf({ value }: RawRecord): Timer {
  return shape.rows.decode(value ?? Buffer.alloc(0), Buffer.alloc(0))
}

test.each([
  ['at least once', false],
  ['exactly once', true],
])('what is due fires, never early, and none is lost by a crash: %s', async (_guarantee, isAtomic) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120, size: 'max' }), async (steps) => {
      const world = new World()
      await world.open()
      for (const step of steps) {
        const next = isAtomic && 'part' in step ? { ...step, part: 0 } : step
        await world.run(next)
        const pending = [...world.model.values()].filter(({ expires }) => !expires)
        expect(world.state.rows).toBeGreaterThanOrEqual(pending.length)
      }
      await world.end()
      if (isAtomic || world.crashes === 0) expect(world.fired).toHaveLength(new Set(world.fired).size)
      // Nothing of the index is left of what is gone, but rows of the last commit.
      const left = [...world.changelog.values()].map(({ key }) => key)
      expect(left.filter((key) => !key.equals(COUNT_KEY))).toEqual([])
    }),
    { numRuns: Number(process.env['DUE_RUNS'] ?? 60) },
  )
})

test('a time that moves later with every event costs one entry a span, and moves when it is reached', async () => {
  const world = new World()
  await world.open()
  const entries = (): number =>
    [...world.changelog.values()].filter(
      ({ key }) => key.compare(INTERNAL_PREFIX) >= 0 && key.compare(AFTER_INTERNAL) < 0 && !key.equals(COUNT_KEY),
    ).length
  let written = 0
  for (let now = 0; now < 100; now += 1) {
    world.write('a', { at: world.clock.now() + 30, id: now, expires: false })
    const rows = world.state.takeRows()
    written += rows.filter(({ key }) => key[0] === 0xff && !key.equals(COUNT_KEY)).length
    world.state.rowsReturned()
    await world.commit()
    expect(entries()).toBe(1)
    await world.pass(1)
  }
  // A new entry and the end of the old one, every 30 ms.
  expect(written).toBeLessThanOrEqual(8)
  world.give()
  expect(world.fired).toEqual([])
  await world.end()
  expect(world.fired).toEqual([99])
})

test('more entries than memory keeps come out in the order of their times, stored or not', async () => {
  const world = new World()
  await world.open()
  const count = 10_400
  const at = (nth: number): number => START + 1 + ((nth * 7919) % count)
  for (let nth = 0; nth < count; nth++) {
    const value = { at: at(nth), id: nth, expires: false }
    world.state.entryOf(Buffer.from(`key ${nth}`)).replace(value, undefined)
    if (nth === count / 2 || nth === count * 0.9) await world.commit()
  }
  await world.clock.advance(count + 1)
  const times: number[] = []
  for (let record = world.state.due.next(); record !== undefined; record = world.state.due.next()) {
    times.push(record.timestamp)
    world.state.due.finish(record)
    if (times.length === count / 3) await world.commit()
  }
  expect(times).toEqual(Array.from({ length: count }, (_, nth) => START + 1 + nth))
  await world.commit()
  await world.commit()
  expect([world.state.rows, world.changedBytes]).toEqual([0, 0])
})
