import { partitionForKey } from '@millrace/core/driver'
import { Engine } from '@millrace/engine-for-tests'
import type { HandedOutEvent } from '@millrace/worker'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { GatedTopic } from './fixtures/gated-topic.fixture.ts'
import { giveUp, type TableWorker, TableWorld } from './fixtures/table-world.fixture.ts'
import { globalTablesPart } from './global/global-tables-part.ts'
import { createGlobalTable, type GlobalTable } from './global-table.ts'
import { createSetTable } from './set-table.ts'

const PARTITIONS = 2
const TOPIC = 'app-rates-global'

function keyIn(partition: number): string {
  const key = Array.from({ length: 99 }, (_, i) => `k${i}`).find(
    (each) => partitionForKey(Buffer.from(each), PARTITIONS) === partition,
  )
  if (key === undefined) throw new Error(`No key is of partition ${partition}.`)
  return key
}

const [first, second] = [keyIn(0), keyIn(1)]

/** A worker with a global table whose topic the test holds back and lets go. */
class Running {
  readonly world: TableWorld = new TableWorld()
  readonly topic: GatedTopic = new GatedTopic(TOPIC)
  readonly rates: GlobalTable<string, number> = createGlobalTable(this.world.deps, 'rates', {
    key: 'string',
    value: 'number',
    help: 'currency -> rate',
  })
  readonly #outside = new Engine({ log: this.world.log, clock: this.world.clock })
  #worker: TableWorker | undefined

  constructor() {
    onTestFinished(() => this.#outside[Symbol.asyncDispose]())
  }

  get worker(): TableWorker {
    if (this.#worker === undefined) throw new Error('The worker was not started.')
    return this.#worker
  }

  /** `partitions`: of the topic whose events write the table. */
  async start(partitions = PARTITIONS): Promise<this> {
    this.#worker = await this.world.start([], {
      partitions,
      parts: [globalTablesPart([this.rates], { freeze: true })],
      settings: { topicPartitions: PARTITIONS },
      wrap: this.topic.wrap,
    })
    return this
  }

  /** Makes the table's topic before the worker does. */
  async createTopic(): Promise<void> {
    await this.#outside.createTopic(TOPIC, PARTITIONS, { 'cleanup.policy': 'compact' })
  }

  /** A record of the table's topic from elsewhere. */
  async append(partition: number, key: string | null, value: string | null): Promise<void> {
    await this.#outside.produce({
      topic: TOPIC,
      partition,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
    })
  }

  /** Lets so many records of each partition come, and the worker take them in. */
  async deliver(limit?: number): Promise<void> {
    this.topic.deliver(limit)
    await this.settle()
    this.topic.stopDelivery()
  }

  async acknowledge(): Promise<void> {
    this.topic.acknowledge()
    await this.settle()
  }

  /** What does not wait for the test goes on. */
  async settle(): Promise<void> {
    await this.world.clock.advance(1)
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    await this.worker.engine.until(what, condition)
  }

  inEvent<T>(event: HandedOutEvent, fn: () => T): T {
    return this.world.inAgent(event, fn)
  }

  /** Sets the key of the first partition, in an event of its own that has finished; its send waits to be stored. */
  async write(value: number): Promise<void> {
    const event = await this.worker.event(0)
    this.inEvent(event, () => this.rates.set(first, value))
    event.finish()
    await this.until('it is sent', () => this.topic.isSending)
  }

  written(): readonly unknown[] {
    const records = this.worker.engine.records(TOPIC)
    return records.map(({ partition, key, value }) => [partition, key?.toString(), value?.toString()])
  }
}

function code(name: string, ...words: readonly string[]): unknown {
  const detail = words.map((word) => expect.stringContaining(word))
  return expect.objectContaining({ code: name, ...(detail.length === 0 ? {} : { detail: detail[0] }) })
}

describe('a global table', () => {
  test('a key that an event of a lost task has left to another one stays that one’s when the first ends', async () => {
    const running = await new Running().start()
    const { worker, rates } = running
    const lost = await worker.event(0)
    const addTen = (): number => rates.update(first, (rate) => (rate ?? 0) + 10)
    running.inEvent(lost, () => rates.set(first, 1))
    worker.engine.expire()
    await running.until('its task is lost', () => !lost.open)
    const holder = await worker.event(0)
    running.inEvent(holder, () => rates.set(first, 2))
    expect(lost.finish()).toBe(false)
    const waits = await worker.event(0)
    expect(() => running.inEvent(waits, addTen)).toThrow(code('KEY_CONFLICT'))
    holder.finish()
    const again = await worker.event(0)
    expect(running.inEvent(again, addTen)).toBe(12)
  })

  test('is read to its end before the worker goes on, and follows its topic', async () => {
    const running = new Running()
    const { rates } = running
    await running.createTopic()
    await running.append(0, first, '1')
    await running.append(0, first, '2')
    await running.append(0, null, '9')
    await running.append(1, second, '3')
    expect(() => rates.get(first)).toThrow(code('NO_WORKER'))
    await running.start()
    expect([rates.get(first), rates.get(second), rates.get('none'), rates.size]).toEqual([2, 3, undefined, 2])
    expect(rates.lookup(first)).toBe(2)
    await running.append(0, first, null)
    await running.append(1, second, '4')
    await running.until('it has followed', () => rates.get(first) === undefined && rates.get(second) === 4)
    expect(rates.size).toBe(1)
    const entries: unknown[] = []
    for await (const entry of rates.entries()) entries.push(entry)
    expect(entries).toEqual([[second, 4]])
    await running.worker.engine.stop()
    expect(() => rates.get(first)).toThrow(code('PARTITION_NOT_LOCAL'))
    expect(running.worker.engine.failure).toBeUndefined()
  })

  test('its topic is compacted, and made where it is missing', async () => {
    const { worker } = await new Running().start()
    expect(worker.engine.log.topics()).toContainEqual(expect.objectContaining({ name: TOPIC, partitions: PARTITIONS }))
    expect(await worker.engine.topicSettings(TOPIC)).toMatchObject({ compacted: true })
  })

  test('keeps the value of an event to whose key another one comes before it has finished', async () => {
    const running = await new Running().start()
    const { worker, rates } = running
    const event = await worker.event(1)
    running.inEvent(event, () => rates.set(second, 5))
    const other = await worker.event(1)
    running.inEvent(other, () => expect(() => rates.set(second, 7)).toThrow(code('KEY_CONFLICT')))
    event.finish()
    // What it has sent is dropped with it.
    expect(other.finish()).toBe(false)
    expect(rates.get(second)).toBe(5)
    await running.until('it is stored', () => running.written().length > 0)
    await running.settle()
    expect(running.written()).toEqual([[1, second, '5']])
    expect(rates.get(second)).toBe(5)
  })

  test('a write is a send of its event, seen by that event at once, by others when it is finished, and taken back if it fails', async () => {
    const running = await new Running().start()
    const { worker, rates } = running
    const event = await worker.event(1)
    running.inEvent(event, () => {
      rates.set(second, 5)
      expect(rates.update(second, (rate) => (rate ?? 0) + 1)).toBe(6)
      expect(rates.get(second)).toBe(6)
      expect(() => rates.set(first, 1)).toThrow(code('KEY_NOT_OWNED', 'global table "rates"'))
      expect(rates.get(first)).toBeUndefined()
    })
    const sameTask = await worker.event(1)
    running.inEvent(sameTask, () => expect(() => rates.get(second)).toThrow(code('KEY_CONFLICT')))
    const otherTask = await worker.event(0)
    running.inEvent(otherTask, () => expect(rates.get(second)).toBeUndefined())
    expect(rates.get(second)).toBeUndefined()
    await running.settle()
    expect(running.written()).toEqual([])
    event.finish()
    expect([rates.get(second), rates.size]).toEqual([6, 1])
    await running.until('both are stored', () => running.written().length === 2)
    expect(running.written()).toEqual([
      [1, second, '5'],
      [1, second, '6'],
    ])
    const failing = await worker.event(1)
    running.inEvent(failing, () => rates.delete(second))
    giveUp(failing)
    expect(rates.get(second)).toBe(6)
    expect(() => rates.set(second, 1)).toThrow(code('WRITE_OUTSIDE_AGENT'))
  })

  test('is not written by events of a topic with another number of partitions', async () => {
    const running = await new Running().start(8)
    const event = await running.worker.event(1)
    running.inEvent(event, () => expect(() => running.rates.set(second, 1)).toThrow(code('NOT_COPARTITIONED')))
  })

  test('a write that the broker refuses is taken back', async () => {
    const running = await new Running().start()
    const { rates, topic } = running
    await running.append(0, first, '1')
    await running.until('it is read', () => rates.get(first) === 1)
    topic.hold()
    await running.write(2)
    expect(rates.get(first)).toBe(2)
    topic.refuse()
    await running.until('it is taken back', () => rates.get(first) === 1)
  })

  test('a task that comes here waits until the copies have all there is, and forgets writes that never came back', async () => {
    const running = await new Running().start()
    const { worker, rates, topic } = running
    await running.append(0, first, '1')
    await running.until('it is read', () => rates.get(first) === 1)
    topic.hold()
    await running.write(9)
    topic.forge(7)
    await running.settle()
    // The next owner's, on its way to the copy.
    await running.append(0, first, '2')
    expect(rates.get(first)).toBe(9)
    const { rebalances } = worker.engine.worker.stats()
    worker.engine.expire()
    await running.until('it has joined again', () => worker.engine.worker.stats().rebalances > rebalances)
    // Lost while it waits, it does not wait any longer; its successor does.
    worker.engine.expire()
    await running.until('and again', () => worker.engine.worker.stats().rebalances > rebalances + 1)
    await running.settle()
    expect(worker.engine.worker.stats().opening.tasks).toBe(1)
    expect(rates.get(first)).toBe(9)
    await running.deliver()
    await running.until('the task is open', () => worker.engine.worker.stats().opening.tasks === 0)
    expect(rates.get(first)).toBe(2)
  })

  test('tasks of another partition count do not wait for it', async () => {
    const running = await new Running().start(8)
    const { worker, topic } = running
    topic.holdReads()
    await running.append(0, first, '2')
    const { rebalances } = worker.engine.worker.stats()
    worker.engine.expire()
    await running.until('it has joined again', () => worker.engine.worker.stats().rebalances > rebalances)
    await running.until('its tasks are open', () => worker.engine.worker.stats().opening.tasks === 0)
    expect(running.rates.get(first)).toBeUndefined()
  })

  test('a write that is acknowledged after it was read gives way at once to what the topic has brought behind it', async () => {
    const running = await new Running().start()
    const { rates, topic } = running
    topic.hold()
    await running.write(1)
    await topic.store()
    await running.append(0, first, '2')
    await running.deliver()
    expect(rates.get(first)).toBe(1)
    await running.acknowledge()
    expect(rates.get(first)).toBe(2)
  })

  test('a failed event leaves what the topic has brought meanwhile', async () => {
    const running = await new Running().start()
    const { worker, rates } = running
    const event = await worker.event(0)
    running.inEvent(event, () => rates.set(first, 1))
    await running.append(0, first, '2')
    await running.settle()
    running.inEvent(event, () => expect(rates.get(first)).toBe(1))
    giveUp(event)
    expect(rates.get(first)).toBe(2)
  })

  test('never shows an older value after a newer one of its own, however acknowledgements and reading interleave', async () => {
    const running = await new Running().start()
    const { worker, rates, topic } = running
    topic.hold()
    const action = fc.constantFrom('write', 'write', 'store', 'ack', 'read', 'read all', 'pending', 'finish', 'fail')
    let last: number | undefined
    let next = 0
    let open: { readonly event: HandedOutEvent; readonly value: number } | undefined
    const begin = async (): Promise<void> => {
      const event = await worker.event(0)
      const value = next++
      running.inEvent(event, () => rates.set(first, value))
      open = { event, value }
    }
    const end = (finished: boolean): void => {
      if (open === undefined) return
      if (finished) {
        open.event.finish()
        last = open.value
      } else giveUp(open.event)
      open = undefined
    }
    const perform: Record<string, () => Promise<void> | void> = {
      write: async () => {
        if (open !== undefined) return
        await begin()
        end(true)
        await running.settle()
      },
      pending: () => (open === undefined ? begin() : undefined),
      finish: () => end(true),
      fail: () => end(false),
      store: () => topic.store(),
      ack: () => running.acknowledge(),
      read: () => running.deliver(1),
      'read all': () => running.deliver(),
    }
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60, size: 'max' }), async (actions) => {
        for (const what of actions) {
          await perform[what]?.()
          expect(rates.get(first)).toBe(last)
          const now = open
          if (now !== undefined) running.inEvent(now.event, () => expect(rates.get(first)).toBe(now.value))
        }
        end(true)
        await running.settle()
        do {
          await running.acknowledge()
          await topic.store()
          await running.acknowledge()
        } while (topic.isSending)
        await running.deliver()
        expect(rates.get(first)).toBe(last)
        last = 1000 + next
        await running.append(0, first, String(last))
        await running.deliver()
        expect(rates.get(first)).toBe(last)
        expect(rates.size).toBe(1)
      }),
      { numRuns: 150, examples: [[['write', 'write', 'store', 'ack', 'store', 'read', 'ack', 'read']]] },
    )
  })

  test('a reader that ends or fails ends the worker', async () => {
    const running = await new Running().start()
    const { engine } = running.worker
    running.topic.holdReads()
    await running.append(0, first, '1')
    await running.settle()
    running.topic.endReads()
    await running.until('the worker has ended', () => engine.failure !== undefined)
    expect(engine.failure).toMatchObject({ code: 'WORKER_FAILED' })
  })
})

test('a global set: every worker has all elements', async () => {
  const world = new TableWorld()
  const tags = createSetTable(world.deps, 'tags', { key: 'string', value: 'string', global: true })
  const start = (): Promise<TableWorker> =>
    world.start([], {
      partitions: PARTITIONS,
      parts: [globalTablesPart([tags], { freeze: true })],
      settings: { topicPartitions: PARTITIONS },
    })
  const worker = await start()
  const event = await worker.event(1)
  world.inAgent(event, () => {
    expect(tags.add(second, 'b')).toBe(true)
    expect(tags.add(second, 'a')).toBe(true)
    expect(tags.values(second)).toEqual(['a', 'b'])
    expect(() => tags.add(first, 'a')).toThrow(code('KEY_NOT_OWNED'))
  })
  event.finish()
  await worker.commit()
  expect(tags.values(second)).toEqual(['a', 'b'])
  const later = await worker.event(1)
  world.inAgent(later, () => tags.delete(second, 'b'))
  later.finish()
  expect([tags.values(second), tags.has(second, 'b'), tags.size, tags.lookup(second)]).toEqual([['a'], false, 1, ['a']])
  await worker.commit()
  const other = await start()
  expect(world.onWorker(other, () => tags.values(second))).toEqual(['a'])
})
