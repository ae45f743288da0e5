import type { RecordMetadata } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import type { SendReceipt, TopicDeclaration, Topology, WaitForTask, WorkerPart } from '@millrace/worker'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memoryStore } from '@millrace/state'
import { createSetTable } from './set-table.ts'
import { SmallEvent } from './fixtures/small-event.fixture.ts'
import { SmallTask } from './fixtures/small-task.fixture.ts'
import { SmallTopic } from './fixtures/small-topic.fixture.ts'
import { SmallWorld } from './fixtures/small-world.fixture.ts'
import { createGlobalTable } from './global-table.ts'
import { globalTablesPart } from './global/global-tables-part.ts'
import type { ReplicatedTable } from './global/global-replica.ts'

const PARTITIONS = 2
const TOPIC = 'app-rates-global'
const [first, second] = [0, 1].map(
  (partition) =>
    Array.from({ length: 99 }, (_, i) => `k${i}`).find(
      (key) => partitionForKey(Buffer.from(key), PARTITIONS) === partition,
    ) ?? '',
)

interface Running {
  readonly world: SmallWorld
  readonly topic: SmallTopic
  readonly part: WorkerPart
  readonly tasks: readonly SmallTask[]
  readonly declared: readonly TopicDeclaration[]
  readonly waits: readonly WaitForTask[]
}

async function start(world: SmallWorld, topic: SmallTopic, table: ReplicatedTable): Promise<Running> {
  const part = globalTablesPart([table], { freeze: true })
  const declared: TopicDeclaration[] = []
  const waits: WaitForTask[] = []
  const topology: Topology = {
    topic: (declaration) => declared.push(declaration),
    subscribe: () => [],
    state: () => {},
    lead: () => {},
    beforeTask: (wait) => waits.push(wait),
  }
  world.worker.topicPartitions = topic.log.length
  world.worker.readerToGive = topic
  part.declare(world.worker, topology)
  await part.start()
  const store = memoryStore()
  const tasks = topic.log.map(
    (_, partition) => new SmallTask({ store, partition, partitions: topic.log.length, cacheBytes: 1000, freeze: true }),
  )
  for (const task of tasks) task.sending = topic.send
  return { world, topic, part, tasks, declared, waits }
}

function eventOf({ tasks }: Running, partition: number): SmallEvent {
  const task = tasks[partition]
  if (task === undefined) throw new Error(`There is no task ${partition}.`)
  return new SmallEvent(task, 0)
}

function lastReceipt(event: SmallEvent): SendReceipt {
  const sent = event.sent.at(-1)
  if (sent === undefined) throw new Error('The event has sent nothing.')
  return sent.receipt
}

describe('a global table', () => {
  const make = (world: SmallWorld) =>
    createGlobalTable(world.deps, 'rates', { key: 'string', value: 'number', help: 'currency -> rate' })

  test('a key that an event of a lost task has left to another one stays that one’s when the first ends', async () => {
    const world = new SmallWorld()
    const table = make(world)
    const running = await start(world, new SmallTopic(TOPIC, PARTITIONS), table)
    const key = first ?? ''
    const [lost, holder, waits, again] = [running, running, running, running].map((one) => eventOf(one, 0))
    const addTen = (): number => table.update(key, (rate) => (rate ?? 0) + 10)
    world.inAgent(lost, () => table.set(key, 1))
    lost?.lose()
    world.inAgent(holder, () => table.set(key, 2))
    lost?.end()
    expect(() => world.inAgent(waits, addTen)).toThrow('KEY_CONFLICT')
    holder?.finish()
    expect(world.inAgent(again, addTen)).toBe(12)
  })

  test('is read to its end before the worker goes on, and follows its topic', async () => {
    const world = new SmallWorld()
    const rates = make(world)
    const topic = new SmallTopic(TOPIC, PARTITIONS)
    topic.append(0, first ?? '', '1')
    topic.append(0, first ?? '', '2')
    topic.append(0, null, '9')
    topic.append(1, second ?? '', '3')
    expect(() => rates.get(first ?? '')).toThrow(expect.objectContaining({ code: 'PARTITION_NOT_LOCAL' }))
    const running = await start(world, topic, rates)
    expect(running.declared).toEqual([
      {
        name: TOPIC,
        partitions: undefined,
        config: { 'cleanup.policy': 'compact' },
        create: true,
        internal: true,
        keyCodec: 'string',
      },
    ])
    expect([rates.get(first ?? ''), rates.get(second ?? ''), rates.get('none'), rates.size]).toEqual([
      2,
      3,
      undefined,
      2,
    ])
    expect(rates.lookup(first ?? '')).toBe(2)
    topic.append(0, first ?? '', null)
    topic.append(1, second ?? '', '4')
    await topic.deliver()
    expect([rates.get(first ?? ''), rates.get(second ?? ''), rates.size]).toEqual([undefined, 4, 1])
    const entries: unknown[] = []
    for await (const entry of rates.entries()) entries.push(entry)
    expect(entries).toEqual([[second, 4]])
    await running.part.stop()
    expect(() => rates.get(first ?? '')).toThrow(expect.objectContaining({ code: 'PARTITION_NOT_LOCAL' }))
    expect(world.worker.failures).toEqual([])
  })

  test('keeps the value of an event to whose key another one comes before it has finished', async () => {
    const world = new SmallWorld()
    const rates = make(world)
    const topic = new SmallTopic(TOPIC, PARTITIONS)
    const running = await start(world, topic, rates)
    const key = second ?? ''
    const event = eventOf(running, 1)
    world.inAgent(event, () => rates.set(key, 5))
    const other = eventOf(running, 1)
    world.inAgent(other, () =>
      expect(() => rates.set(key, 7)).toThrow(expect.objectContaining({ code: 'KEY_CONFLICT' })),
    )
    event.finish()
    // What an event has sent that was given up is dropped.
    for (const { receipt } of other.sent) await topic.refuse(receipt)
    expect(rates.get(key)).toBe(5)
    await topic.acknowledge(lastReceipt(event))
    await topic.deliver()
    expect(rates.get(key)).toBe(5)
    await running.part.stop()
  })

  test('a write is a send of its event, seen by that event at once, by others when it is finished, and taken back if it fails', async () => {
    const world = new SmallWorld()
    const rates = make(world)
    const running = await start(world, new SmallTopic(TOPIC, PARTITIONS), rates)
    const key = second ?? ''
    const event = eventOf(running, 1)
    world.inAgent(event, () => {
      rates.set(key, 5)
      expect(rates.update(key, (rate) => (rate ?? 0) + 1)).toBe(6)
      expect(rates.get(key)).toBe(6)
      expect(() => rates.set(first ?? '', 1)).toThrow(
        expect.objectContaining({ code: 'KEY_NOT_OWNED', detail: expect.stringContaining('global table "rates"') }),
      )
      expect(rates.get(first ?? '')).toBeUndefined()
    })
    const sameTask = eventOf(running, 1)
    world.inAgent(sameTask, () =>
      expect(() => rates.get(key)).toThrow(expect.objectContaining({ code: 'KEY_CONFLICT' })),
    )
    const otherTask = eventOf(running, 0)
    world.inAgent(otherTask, () => expect(rates.get(key)).toBeUndefined())
    expect(
      event.sent.map(({ request }) => [
        request.topic,
        request.partition,
        request.key?.toString(),
        request.value?.toString(),
      ]),
    ).toEqual([
      [TOPIC, 1, key, '5'],
      [TOPIC, 1, key, '6'],
    ])
    expect(rates.get(key)).toBeUndefined()
    event.finish()
    expect([rates.get(key), rates.size]).toEqual([6, 1])
    const failing = eventOf(running, 1)
    world.inAgent(failing, () => rates.delete(key))
    failing.fail()
    expect(rates.get(key)).toBe(6)
    expect(() => rates.set(key, 1)).toThrow(expect.objectContaining({ code: 'WRITE_OUTSIDE_AGENT' }))
    const eight = new SmallEvent(
      new SmallTask({ store: memoryStore(), partition: 1, partitions: 8, cacheBytes: 0, freeze: false }),
      0,
    )
    world.inAgent(eight, () =>
      expect(() => rates.set(key, 1)).toThrow(expect.objectContaining({ code: 'NOT_COPARTITIONED' })),
    )
    await running.part.stop()
  })

  test('a write that the broker refuses is taken back', async () => {
    const world = new SmallWorld()
    const rates = make(world)
    const running = await start(world, new SmallTopic(TOPIC, PARTITIONS), rates)
    const key = first ?? ''
    running.topic.append(0, key, '1')
    await running.topic.deliver()
    const event = eventOf(running, 0)
    world.inAgent(event, () => rates.set(key, 2))
    event.finish()
    expect(rates.get(key)).toBe(2)
    await running.topic.refuse(lastReceipt(event))
    expect(rates.get(key)).toBe(1)
    await running.part.stop()
  })

  test('a task that comes here waits until the copies have all there is, and forgets writes that never came back', async () => {
    const world = new SmallWorld()
    const rates = make(world)
    const running = await start(world, new SmallTopic(TOPIC, PARTITIONS), rates)
    const [wait] = running.waits
    if (wait === undefined) throw new Error('Tasks do not wait.')
    const task = { id: '2-0', partitions: PARTITIONS, partition: 0 }
    const key = first ?? ''
    running.topic.append(0, key, '1')
    await running.topic.deliver()
    // Of a transaction that came to nothing: acknowledged, and never to be read.
    const event = eventOf(running, 0)
    world.inAgent(event, () => rates.set(key, 9))
    event.finish()
    await running.topic.acknowledge(lastReceipt(event), { topic: TOPIC, partition: 0, offset: 7, timestamp: 0 })
    // The next owner's, on its way to the copy.
    running.topic.append(0, key, '2')
    expect(rates.get(key)).toBe(9)

    const lost = new AbortController()
    const given = expect(wait(task, lost.signal)).rejects.toThrow('lost')
    let isOpen = false
    const opened = wait(task, new AbortController().signal).then(() => (isOpen = true))
    lost.abort(new Error('lost'))
    await given
    // Tasks of another partition count have nothing to do with it.
    await wait({ id: '8-0', partitions: 8, partition: 0 }, new AbortController().signal)
    expect(isOpen).toBe(false)
    await running.topic.deliver()
    await opened
    expect(rates.get(key)).toBe(2)
    await running.part.stop()
  })

  test('a write that is acknowledged after it was read gives way at once to what the topic has brought behind it', async () => {
    const world = new SmallWorld()
    const rates = make(world)
    const running = await start(world, new SmallTopic(TOPIC, PARTITIONS), rates)
    const key = first ?? ''
    const event = eventOf(running, 0)
    world.inAgent(event, () => rates.set(key, 1))
    event.finish()
    const receipt = lastReceipt(event)
    const metadata = running.topic.store(receipt)
    running.topic.append(0, key, '2')
    await running.topic.deliver()
    expect(rates.get(key)).toBe(1)
    await running.topic.acknowledge(receipt, metadata)
    expect(rates.get(key)).toBe(2)
    await running.part.stop()
  })

  test('a failed event leaves what the topic has brought meanwhile', async () => {
    const world = new SmallWorld()
    const rates = make(world)
    const running = await start(world, new SmallTopic(TOPIC, PARTITIONS), rates)
    const key = first ?? ''
    const event = eventOf(running, 0)
    world.inAgent(event, () => rates.set(key, 1))
    running.topic.append(0, key, '2')
    await running.topic.deliver()
    world.inAgent(event, () => expect(rates.get(key)).toBe(1))
    event.fail()
    expect(rates.get(key)).toBe(2)
    await running.part.stop()
  })

  test('never shows an older value after a newer one of its own, however acknowledgements and reading interleave', async () => {
    const action = fc.constantFrom('write', 'write', 'store', 'ack', 'read', 'read all', 'pending', 'finish', 'fail')
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60, size: 'max' }), async (actions) => {
        using world = new SmallWorld()
        const rates = make(world)
        const running = await start(world, new SmallTopic(TOPIC, PARTITIONS), rates)
        const key = first ?? ''
        const unstored: SendReceipt[] = []
        const unacknowledged: { readonly receipt: SendReceipt; readonly metadata: RecordMetadata }[] = []
        let last: number | undefined
        let next = 0
        let open: { readonly event: SmallEvent; readonly value: number } | undefined
        const end = (finished: boolean): void => {
          if (open === undefined) return
          if (finished) {
            open.event.finish()
            last = open.value
            unstored.push(lastReceipt(open.event))
          } else open.event.fail()
          open = undefined
        }
        const store = (): void => {
          const receipt = unstored.shift()
          if (receipt !== undefined) unacknowledged.push({ receipt, metadata: running.topic.store(receipt) })
        }
        const acknowledge = async (): Promise<void> => {
          const stored = unacknowledged.shift()
          if (stored !== undefined) await running.topic.acknowledge(stored.receipt, stored.metadata)
        }
        const begin = (): void => {
          const event = eventOf(running, 0)
          const value = next++
          world.inAgent(event, () => rates.set(key, value))
          open = { event, value }
        }
        for (const what of actions) {
          if (what === 'pending' && open === undefined) begin()
          if (what === 'finish') end(true)
          if (what === 'fail') end(false)
          if (what === 'write' && open === undefined) {
            begin()
            end(true)
          }
          if (what === 'store') store()
          if (what === 'ack') await acknowledge()
          if (what === 'read') await running.topic.deliver(1)
          if (what === 'read all') await running.topic.deliver()
          expect(rates.get(key)).toBe(last)
          const now = open
          if (now !== undefined) world.inAgent(now.event, () => expect(rates.get(key)).toBe(now.value))
        }
        end(true)
        while (unstored.length > 0) store()
        while (unacknowledged.length > 0) await acknowledge()
        await running.topic.deliver()
        expect(rates.get(key)).toBe(last)
        running.topic.append(0, key, '1000')
        await running.topic.deliver()
        expect(rates.get(key)).toBe(1000)
        expect(rates.size).toBe(1)
        await running.part.stop()
      }),
      { numRuns: 150, examples: [[['write', 'write', 'store', 'store', 'ack', 'ack', 'read']]] },
    )
  })

  test('a reader that ends or fails ends the worker', async () => {
    const world = new SmallWorld()
    const topic = new SmallTopic(TOPIC, PARTITIONS)
    const running = await start(world, topic, make(world))
    await topic.close()
    await topic.deliver()
    expect(world.worker.failures).toEqual([expect.objectContaining({ code: 'WORKER_FAILED' })])
    await running.part.stop()
  })
})

test('a global set: every worker has all elements', async () => {
  const world = new SmallWorld()
  const tags = createSetTable(world.deps, 'tags', { key: 'string', value: 'string', global: true })
  const running = await start(world, new SmallTopic('app-tags-global', PARTITIONS), tags)
  const key = second ?? ''
  const event = eventOf(running, 1)
  world.inAgent(event, () => {
    expect(tags.add(key, 'b')).toBe(true)
    expect(tags.add(key, 'a')).toBe(true)
    expect(tags.values(key)).toEqual(['a', 'b'])
    expect(() => tags.add(first ?? '', 'a')).toThrow(expect.objectContaining({ code: 'KEY_NOT_OWNED' }))
  })
  event.finish()
  for (const { receipt } of event.sent) await running.topic.acknowledge(receipt)
  await running.topic.deliver()
  expect(tags.values(key)).toEqual(['a', 'b'])
  const later = eventOf(running, 1)
  world.inAgent(later, () => tags.delete(key, 'b'))
  later.finish()
  expect([tags.values(key), tags.has(key, 'b'), tags.size, tags.lookup(key)]).toEqual([['a'], false, 1, ['a']])
  await running.part.stop()
})
