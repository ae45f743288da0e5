import { json, manualClock, NO_HEADERS, resolveCodec, type RawRecord } from '@millrace/core'
import type { Row, StorePartition } from '@millrace/core/driver'
import type { EventTime } from '@millrace/worker'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memoryStore } from '../memory/memory-store.ts'
import { codecShape } from '../rows/row-shape.ts'
import { COUNT_KEY, isInternal } from './due-keys.ts'
import { DuePartition } from './due-partition.ts'
import type { DueRules } from './due-rules.ts'
import { startOf, windowRow } from './window-keys.ts'

const BUCKET_MS = 10
/** From the start of its bucket, a row is read for so long. */
const LASTS_MS = 25

interface Kept {
  readonly id: number
  /** It has to be given out once its time is over. */
  readonly waits: boolean
}

const shape = codecShape({
  where: 'state "kept"',
  keySpec: 'bytes',
  keyCodec: resolveCodec('bytes', 'key', 'kept'),
  valueSpec: json<Kept>(),
  valueCodec: resolveCodec(json<Kept>(), 'row', 'kept'),
  partitionBy: undefined,
  migrate: undefined,
})

type Step =
  | { readonly type: 'write'; readonly key: string; readonly back: number; readonly waits: boolean }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'commit' }
  | { readonly type: 'give' }
  | { readonly type: 'finish' }
  /** `part`: how much of the commit is on the broker. */
  | { readonly type: 'commitFails'; readonly part: number }
  | { readonly type: 'crash'; readonly part: number }

const part = fc.nat({ max: 100 }).map((n) => n / 100)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      key: fc.constantFrom('a', 'b', 'c'),
      back: fc.nat({ max: 20 }),
      waits: fc.nat({ max: 4 }).map((n) => n === 0),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.nat({ max: 15 }) }) },
  ...(['commit', 'give', 'finish'] as const).map((type) => ({ weight: 3, arbitrary: fc.constant({ type }) })),
  { weight: 1, arbitrary: fc.record({ type: fc.constant('commitFails' as const), part }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('crash' as const), part }) },
)

/** A state and its changelog on one side, the rows that events may still read on the other. */
class World {
  readonly changelog = new Map<string, Row>()
  readonly fired = new Set<number>()
  written = 0
  /** Whether rows may have to be given out. */
  #canWait: boolean
  #clock = manualClock({ now: 0 })
  readonly #time = {
    watermark: 0,
    committed: 0,
    at: (): number => this.#time.watermark,
    writtenBy: (): void => {},
    wakeAt: (): void => {},
    touchAt: (time: number): void => {
      this.#touchAt = time
      if (this.#time.watermark >= time) this.#isTouched = true
    },
  } satisfies EventTime
  #touchAt = Infinity
  #isTouched = false
  #note = ''
  #nextId = 0
  #since: Extract<Step, { readonly type: 'write' | 'pass' }>[] = []
  #model = new Map<string, Kept>()
  #modelCommitted = new Map<string, Kept>()
  #firing: number[] = []
  #inFlight: RawRecord[] = []
  #store = memoryStore()
  #stored: StorePartition | undefined = undefined
  #state: DuePartition<Kept> | undefined = undefined

  constructor(canWait: boolean) {
    this.#canWait = canWait
  }

  get state(): DuePartition<Kept> {
    if (this.#state === undefined) throw new Error('It is not open.')
    return this.#state
  }

  async open(): Promise<void> {
    this.#store = memoryStore()
    const stored = await this.#store.open('kept', 0)
    this.#stored = stored
    await this.#store.commit([{ partition: stored, rows: [...this.changelog.values()], checkpoint: undefined }])
    this.#inFlight = []
    const rules: DueRules<Kept> = {
      keyCodec: 'bytes',
      clock: 'event',
      dueOf: ({ waits, id }) => (waits && this.#canWait ? Math.floor(id / 1000) + LASTS_MS : undefined),
      lastsMs: LASTS_MS,
      record: (key, value) => ({ key, value: shape.rows.encode(value), headers: NO_HEADERS }),
    }
    this.#state = new DuePartition(
      shape.rows,
      {
        task: { id: '1-0', partitions: 1, partition: 0 },
        store: stored,
        cacheBytes: 0,
        maxRowBytes: 1_000_000,
        freeze: true,
        countChanged: () => {},
        clock: this.#clock,
        touch: () => void (this.#isTouched = true),
        commitSoon: () => {},
        note: this.#note,
        time: this.#time,
      },
      rules,
    )
  }

  /** From now on unmatched rows have to be given out, too. */
  async letWait(): Promise<void> {
    this.state.close()
    this.#canWait = true
    await this.open()
  }

  async run(step: Step): Promise<void> {
    if (step.type === 'write' || step.type === 'pass') {
      this.#since.push(step)
      return this.#apply(step)
    }
    if (step.type === 'commit') return await this.commit()
    if (step.type === 'give') return this.give()
    if (step.type === 'finish') return this.finish()
    if (step.type === 'commitFails') {
      this.#write(this.#part(this.state.takeRows(), step.part))
      return this.state.rowsReturned()
    }
    this.#write(this.#part(this.state.takeRows(), step.part))
    this.state.close()
    const since = this.#since
    this.#time.watermark = this.#time.committed
    this.#model = new Map(this.#modelCommitted)
    this.#firing = []
    await this.open()
    for (const each of since) this.#apply(each)
  }

  give(): void {
    const record = this.state.due.next()
    if (record !== undefined) this.#inFlight.push(record)
  }

  finish(): void {
    const record = this.#inFlight.shift()
    if (record === undefined) return
    const row = record.key ?? Buffer.alloc(0)
    const given = keptOf(record)
    const now = this.state.finishedValue(row)
    // Without an event in flight there is no claim: what has changed in between is not due any more.
    if (now?.id === given.id) {
      this.#firing.push(given.id)
      this.#model.delete(row.toString('latin1'))
    }
    this.state.due.finish(record)
  }

  async commit(): Promise<void> {
    const { note } = this.state
    const prepared = this.#time.watermark
    this.#isTouched = false
    const rows = this.state.takeRows()
    this.written += rows.filter(({ key }) => !key.equals(COUNT_KEY)).length
    this.#write(rows)
    if (this.#stored !== undefined) await this.#store.commit([{ partition: this.#stored, rows, checkpoint: undefined }])
    this.#note = note
    this.#time.committed = prepared
    this.#since = []
    this.#modelCommitted = new Map(this.#model)
    for (const id of this.#firing.splice(0)) this.fired.add(id)
    this.state.rowsStored(rows)
  }

  /** Everything is over, and whatever the state asks for is done. */
  async end(): Promise<readonly number[]> {
    await this.run({ type: 'pass', ms: 1000 })
    await this.commit()
    const waiting = [...this.#model.values()].filter(({ waits }) => waits && this.#canWait).map(({ id }) => id)
    // What is due is given out in a later turn of the event loop.
    for (let idle = 0; idle < 3;) {
      await this.#clock.advance(1)
      this.give()
      if (this.#inFlight.length === 0 && !this.#isTouched) idle++
      else {
        idle = 0
        while (this.#inFlight.length > 0) this.finish()
        await this.commit()
      }
    }
    return waiting
  }

  /** Rows that events may still read have their values; `undefined` is what is allowed to be gone. */
  check(): void {
    for (const [name, kept] of this.#model) {
      const row = Buffer.from(name, 'latin1')
      if (startOf(row) + LASTS_MS > this.#time.watermark) expect(this.state.finishedValue(row)).toEqual(kept)
    }
  }

  #apply(step: Extract<Step, { readonly type: 'write' | 'pass' }>): void {
    if (step.type === 'pass') {
      this.#time.watermark += step.ms
      if (this.#time.watermark >= this.#touchAt) this.#isTouched = true
      return
    }
    const time = Math.max(0, this.#time.watermark - step.back)
    const start = Math.floor(time / BUCKET_MS) * BUCKET_MS
    // It would be late.
    if (start + LASTS_MS <= this.#time.watermark) return
    const row = windowRow(start, Buffer.from(step.key))
    const kept = { id: start * 1000 + this.#nextId++, waits: step.waits }
    this.#model.set(row.toString('latin1'), kept)
    this.state.entryOf(row).replace(kept, undefined)
  }

  #part(rows: readonly Row[], part: number): readonly Row[] {
    return rows.slice(0, Math.floor(part * (rows.length + 1)))
  }

  #write(rows: readonly Row[]): void {
    for (const row of rows) {
      const name = row.key.toString('latin1')
      if (row.value === null) this.changelog.delete(name)
      else this.changelog.set(name, row)
    }
  }
}

function keptOf({ value }: RawRecord): Kept {
  return shape.rows.decode(value ?? Buffer.alloc(0), Buffer.alloc(0))
}

function rowsOf({ changelog }: World): readonly Buffer[] {
  return [...changelog.values()].map(({ key }) => key).filter((key) => !isInternal(key))
}

test('rows stay as long as events may read them, whatever fails, and nothing is left of them', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(step, { minLength: 20, maxLength: 100, size: 'max' }),
      async (canWait, steps) => {
        const world = new World(canWait)
        await world.open()
        for (const step of steps) {
          await world.run(step)
          world.check()
        }
        const waiting = await world.end()
        for (const id of waiting) expect(world.fired).toContain(id)
        expect(rowsOf(world)).toEqual([])
        expect(world.state.rows).toBe(0)
      },
    ),
    { numRuns: Number(process.env['EXPIRY_RUNS'] ?? 50) },
  )
})

test('a row that is over before a commit takes it is never written', async () => {
  const world = new World(false)
  await world.open()
  for (let n = 0; n < 100; n++) {
    await world.run({ type: 'write', key: 'a', back: 0, waits: false })
    await world.run({ type: 'pass', ms: 10 })
  }
  await world.commit()
  // The last ones may still be read.
  expect(world.written).toBeLessThanOrEqual(3)
  expect(world.state.rows).toBe(rowsOf(world).length)
})

test('rows that had not to be given out when they were written are given out if they have to be now', async () => {
  const world = new World(false)
  await world.open()
  for (const key of ['a', 'b', 'c']) await world.run({ type: 'write', key, back: 0, waits: true })
  await world.commit()
  await world.letWait()
  const waiting = await world.end()
  expect(waiting).toHaveLength(3)
  expect([...world.fired]).toEqual(waiting)
  expect(rowsOf(world)).toEqual([])
})
