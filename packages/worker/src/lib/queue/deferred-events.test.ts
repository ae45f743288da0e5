import { manualClock, type ManualClock, NO_HEADERS, type RawRecord } from '@millrace/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { aCursor, aTask, TasksAlone } from '../fixtures/task.fixture.ts'
import type { PartitionCursor } from '../task/cursor.ts'
import type { EventInFlight } from '../task/event-in-flight.ts'
import type { Task } from '../task/task.ts'
import type { RecordQueue } from './record-queue.ts'
import { Subscription } from './subscription.ts'

const PARTITIONS = 2
const RECORDS = 24
const KEYS = ['a', 'b', '', null] as const
/** The largest batch. */
const MOST_AT_ONCE = 3

/** What an agent and its instances can do next. Numbers are taken modulo the available choices. */
type Step =
  | { readonly kind: 'take' | 'finish' | 'requeue' | 'aside'; readonly queue: number }
  | { readonly kind: 'retry'; readonly queue: number; readonly delayMs: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'lose'; readonly partition: number }

const queueNumber = fc.nat({ max: 3 })
const aStep: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('take' as const), queue: queueNumber }), weight: 12 },
  { arbitrary: fc.record({ kind: fc.constant('finish' as const), queue: queueNumber }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('requeue' as const), queue: queueNumber }), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant('aside' as const), queue: queueNumber }), weight: 3 },
  {
    arbitrary: fc.record({
      kind: fc.constant('retry' as const),
      queue: queueNumber,
      delayMs: fc.constantFrom(0, 1, 5, 20),
    }),
    weight: 4,
  },
  { arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 5, 25) }), weight: 2 },
  {
    arbitrary: fc.record({ kind: fc.constant('lose' as const), partition: fc.nat({ max: PARTITIONS - 1 }) }),
    weight: 1,
  },
)

interface Agent {
  readonly instances: number
  readonly ordering: 'key' | 'none'
}

/** Instances of an agent over two partitions, each in a task of its own, driven step by step. */
class Driven {
  readonly clock: ManualClock = manualClock()
  readonly finished: EventInFlight[] = []
  readonly #subscription: Subscription
  readonly #tasks: readonly Task[]
  /** The events in flight of each instance, as one batch. */
  readonly #inFlight: readonly EventInFlight[][]

  constructor({ instances, ordering }: Agent, keys: readonly (typeof KEYS)[number][]) {
    const { clock } = this
    const worker = new TasksAlone(clock)
    const { handOut } = worker
    const spec = { id: 'a', topics: ['in'], agent: 'a', instances, ordering } as const
    this.#subscription = new Subscription(spec, clock, { handOut, maxSorted: 8 })
    this.#tasks = Array.from({ length: PARTITIONS }, (_, partition) =>
      aTask(worker, { topic: 'in', partition }, PARTITIONS),
    )
    this.#inFlight = this.#subscription.queues.map(() => [])
    const cursors = this.#tasks.map((task) => fullCursor(task, worker, { subscription: this.#subscription, keys }))
    this.#subscription.add(cursors)
  }

  async take(step: Step): Promise<void> {
    if (step.kind === 'pass') return this.#pass(step.ms)
    if (step.kind === 'lose') return this.#lose(step.partition)
    const nth = step.queue % this.#inFlight.length
    const batch = this.#inFlight[nth] ?? []
    if (step.kind === 'take') return void this.#take(this.queues[nth], batch)
    const [first] = batch
    if (first === undefined) return
    if (step.kind === 'finish') {
      const isDone = first.open && !first.isDeferred
      first.finish()
      if (isDone) this.finished.push(...batch)
    } else if (step.kind === 'retry') first.retry(step.delayMs)
    else if (step.kind === 'requeue') first.requeue()
    else if (first.open) {
      // An event of the batch meets a key that another instance has in flight. Rows belong to one task, so both must be
      // of the same.
      const holder = this.#inFlight[(nth + 1) % this.#inFlight.length]?.[0]
      const last = batch.at(-1)
      if (holder === undefined || last === undefined || holder === first || holder.task !== first.task) return
      try {
        last.resolveConflict(holder, 'the key')
        // The event came first, so the other one is deferred.
        return
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'KEY_CONFLICT' })
      }
      first.requeue()
    }
    batch.length = 0
  }

  /** Runs to the end without further failures. */
  async toTheEnd(): Promise<void> {
    for (let idle = 0; idle < 3; idle++) {
      await this.#pass(50)
      for (const queue of this.queues.keys()) {
        await this.take({ kind: 'finish', queue })
        await this.take({ kind: 'take', queue })
        if ((this.#inFlight[queue]?.length ?? 0) > 0) idle = -1
      }
    }
  }

  /** Records of the tasks that are still here. */
  get left(): number {
    return this.#tasks.filter((task) => !task.closed).length * RECORDS
  }

  get finishedHere(): readonly EventInFlight[] {
    return this.finished.filter(({ origin }) => !origin.task.closed)
  }

  /** The partition of the event that an instance has in flight. */
  partitionInFlight(queue: number): number {
    return this.#inFlight[queue]?.[0]?.partition ?? -1
  }

  get queues(): readonly RecordQueue[] {
    return this.#subscription.queues
  }

  /** Instances without an event wait, and take events as soon as they are woken, for example between two timers. */
  async #pass(ms: number): Promise<void> {
    for (const [nth, queue] of this.queues.entries()) {
      const batch = this.#inFlight[nth] ?? []
      if (batch.length > 0 || queue.isWaiting) continue
      void queue.ready().then(() => {
        if (batch.length === 0) while (this.#take(queue, batch));
      })
    }
    await this.clock.advance(ms)
  }

  #take(queue: RecordQueue | undefined, batch: EventInFlight[]): boolean {
    if (batch.length === MOST_AT_ONCE) return false
    const event = queue?.take()
    if (event === undefined) return false
    const [first] = batch
    // A batch has events of one task; an event of another task begins a batch when this one is over.
    if (first !== undefined && (first.origin.task !== event.origin.task || !first.open)) {
      event.requeue()
      return false
    }
    batch.push(event)
    first?.join(event)
    return true
  }

  /** Loses the task of a partition, unless it is the last one. */
  #lose(partition: number): void {
    if (this.#tasks.filter((task) => !task.closed).length === 1) return
    void this.#tasks[partition]?.close('another worker has it now')
    this.#subscription.purge()
  }
}

/** A cursor of an open task, over all records of its partition. */
function fullCursor(
  task: Task,
  worker: TasksAlone,
  { subscription, keys }: { readonly subscription: Subscription; readonly keys: readonly (string | null)[] },
): PartitionCursor {
  const cursor = aCursor(task, worker, { subscription })
  task.recovered([{ source: cursor.source, cursors: [cursor] }], [])
  task.begin()
  const records = Array.from({ length: RECORDS }, (_, offset): RawRecord => {
    const key = keys[offset % keys.length] ?? null
    return { offset, timestamp: 0, key: key === null ? null : Buffer.from(key), value: null, headers: NO_HEADERS }
  })
  cursor.source.push({
    topic: 'in',
    partition: task.partition,
    position: 0,
    records,
    nextOffset: RECORDS,
    bytes: 1,
    endOffset: RECORDS,
  })
  return cursor
}

/** Finished offsets, grouped by what must keep its order. */
function orders(
  events: readonly EventInFlight[],
  of: (event: EventInFlight) => string | undefined,
): readonly (readonly number[])[] {
  const found = new Map<string, number[]>()
  for (const event of events) {
    const group = of(event)
    if (group !== undefined) found.set(group, [...(found.get(group) ?? []), event.offset])
  }
  return [...found.values()]
}

const keyOf = ({ partition, record }: EventInFlight): string | undefined =>
  record.key === null ? undefined : `${partition} ${record.key.toString()}`
const partitionOf = ({ partition }: EventInFlight): string => String(partition)
const none = (): undefined => undefined

describe.each([
  { agent: { instances: 3, ordering: 'key' }, keeps: 'the order of each key', of: keyOf },
  { agent: { instances: 1, ordering: 'key' }, keeps: 'the order of each partition', of: partitionOf },
  { agent: { instances: 3, ordering: 'none' }, keeps: 'no order', of: none },
] as const)('$agent.instances instances, ordering $agent.ordering', ({ agent, keeps, of }) => {
  test(`with batches, retries, deferrals and lost tasks every event is handled once, and ${keeps} is kept`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 6 }),
        fc.array(aStep, { minLength: 20, maxLength: 100, size: 'max' }),
        async (keys, steps) => {
          const driven = new Driven(agent, keys)
          for (const step of steps) await driven.take(step)
          await driven.toTheEnd()
          const finished = driven.finishedHere
          expect(new Set(finished.map(({ partition, offset }) => `${partition}@${offset}`)).size).toBe(driven.left)
          expect(finished.length).toBe(driven.left)
          for (const order of orders(finished, of)) expect(order).toEqual(order.toSorted((a, b) => a - b))
        },
      ),
      { numRuns: 100 },
    )
  })
})

test('a batch of one key that fails three times is handed out again before later events', async () => {
  const driven = new Driven({ instances: 2, ordering: 'key' }, ['a'])
  for (let times = 0; times < 3; times++)
    for (const queue of [0, 1]) {
      await driven.take({ kind: 'take', queue })
      await driven.take({ kind: 'take', queue })
      await driven.take({ kind: 'retry', queue, delayMs: 5 })
      await driven.take({ kind: 'pass', ms: 10 })
    }
  await driven.toTheEnd()
  const all = Array.from({ length: RECORDS }, (_, offset) => offset)
  expect(orders(driven.finished, keyOf)).toEqual(Array.from({ length: PARTITIONS }, () => all))
})

test('an event whose batch was given up for outdated reads holds what it reads when it is handed out alone', async () => {
  const driven = new Driven({ instances: 1, ordering: 'key' }, ['a'])
  const changed = { changedSince: () => true, show: () => 'a row' }
  const [queue] = driven.queues
  for (let times = 0; times < 3; times++) {
    const [first, second] = [queue?.take(), queue?.take()]
    if (first === undefined || second === undefined) throw new Error('Nothing is handed out.')
    first.join(second)
    expect(second.holdsReads).toBe(false)
    first.noteRead(changed, 0)
    expect(first.deferIfOutdated()).toBe(true)
    first.finish()
  }
  const alone = queue?.take()
  expect(alone?.offset).toBe(0)
  alone?.finish()
  const next = queue?.take()
  expect(next?.offset).toBe(1)
  expect(next?.holdsReads).toBe(true)
  next?.finish()
})

test('events that wait behind an event of a lost task are handed out', async () => {
  const driven = new Driven({ instances: 2, ordering: 'key' }, ['a'])
  // One instance has an event of the key in flight.
  for (const queue of [0, 1]) await driven.take({ kind: 'take', queue })
  const queue = driven.partitionInFlight(0) < 0 ? 1 : 0
  const partition = driven.partitionInFlight(queue)
  await driven.take({ kind: 'retry', queue, delayMs: 60_000 })
  // The instance finds that all events of the key wait behind that one, even those of another partition.
  await driven.take({ kind: 'take', queue })
  await driven.toTheEnd()
  expect(driven.finished).toEqual([])
  await driven.take({ kind: 'lose', partition })
  await driven.toTheEnd()
  expect(driven.finishedHere.length).toBe(RECORDS)
})

test.each(['finish', 'retry', 'requeue', 'aside'] as const)(
  'a batch of a lost task may end in any way, and changes nothing: %s',
  async (kind) => {
    const driven = new Driven({ instances: 1, ordering: 'key' }, ['a'])
    for (let taken = 0; taken < MOST_AT_ONCE; taken++) await driven.take({ kind: 'take', queue: 0 })
    await driven.take({ kind: 'lose', partition: driven.partitionInFlight(0) })
    await driven.take(kind === 'retry' ? { kind, queue: 0, delayMs: 0 } : { kind, queue: 0 })
    expect(driven.finished).toEqual([])
    await driven.toTheEnd()
    expect(driven.finishedHere.length).toBe(driven.left)
  },
)
