import { type Codec, json } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import { beforeEach, describe, expect, test } from 'vitest'
import { memoryStore } from '@millrace/state'
import { SmallEvent } from './fixtures/small-event.fixture.ts'
import { SmallTask } from './fixtures/small-task.fixture.ts'
import { SmallWorker } from './fixtures/small-worker.fixture.ts'
import { SmallWorld } from './fixtures/small-world.fixture.ts'
import { createTable, type AnyTable } from './table.ts'

const PARTITIONS = 4
let world: SmallWorld
let store: ReturnType<typeof memoryStore>

beforeEach(() => {
  world = new SmallWorld()
  store = memoryStore()
})

function makeTask(
  partition = 0,
  options: { readonly partitions?: number; readonly freeze?: boolean; readonly worker?: SmallWorker } = {},
): SmallTask {
  const task = new SmallTask({
    store,
    partition,
    partitions: options.partitions ?? PARTITIONS,
    cacheBytes: 1_000_000,
    freeze: options.freeze ?? false,
  })
  const worker = options.worker ?? world.worker
  worker.tasks.push(task)
  return task
}

/** Some text whose partition is `partition`. */
function keyIn(partition: number, prefix = 'key'): string {
  for (let i = 0; ; i++)
    if (partitionForKey(Buffer.from(`${prefix}-${i}`), PARTITIONS) === partition) return `${prefix}-${i}`
}

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

const code = (expected: string, ...parts: string[]): unknown =>
  expect.objectContaining({
    code: expected,
    message: expect.stringMatching(new RegExp(parts.map((part) => part.replaceAll(/[()]/g, '\\$&')).join('.*'))),
  })

test('a row larger than the changelog may take is refused in the handler, and changes nothing', async () => {
  const texts = createTable(world.deps, 'texts', { key: 'string', value: 'string' })
  const blobs = createTable(world.deps, 'blobs', { key: 'string', value: 'bytes' })
  const task = new SmallTask({ store, partition: 0, partitions: 1, cacheBytes: 1000, maxRowBytes: 100, freeze: false })
  world.worker.tasks.push(task)
  await task.add(texts)
  await task.add(blobs)
  const event = new SmallEvent(task, 0)
  world.inAgent(event, () => {
    texts.set('a', 'x'.repeat(99))
    expect(() => texts.set('ab', 'x'.repeat(99))).toThrow(code('ROW_TOO_LARGE', '"ab"', 'table "texts"', '99', '100'))
    expect(() => blobs.set('a', Buffer.alloc(100))).toThrow(code('ROW_TOO_LARGE', 'table "blobs"'))
    expect(texts.get('ab')).toBeUndefined()
  })
  event.finish()
  expect(texts.get('a')).toHaveLength(99)
})

test('an event that has read a row is outdated by a change of it, also when the row has left the cache since', async () => {
  const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number' })
  const task = new SmallTask({ store, partition: 0, partitions: 1, cacheBytes: 0, freeze: false })
  world.worker.tasks.push(task)
  await task.add(counts)
  const write = async (value: number): Promise<void> => {
    const event = new SmallEvent(task, 0)
    world.inAgent(event, () => counts.set('a', value))
    event.finish()
    task.beginCommit()
    await task.endCommit(true)
  }
  await write(1)
  const [before, after] = [new SmallEvent(task, 1), new SmallEvent(task, 2)]
  world.inAgent(before, () => expect(counts.get('a')).toBe(1))
  expect(before.isOutdated).toBe(false)
  await write(2)
  // Others come into the cache, which has no room for what no event holds.
  for (let other = 0; other < 3; other++)
    world.inAgent(new SmallEvent(task, 3), () => expect(counts.get(`other ${other}`)).toBeUndefined())
  expect(before.isOutdated).toBe(true)
  world.inAgent(after, () => expect(counts.get('a')).toBe(2))
  expect(after.isOutdated).toBe(false)
})

describe('ownership', () => {
  test('a key of another partition is refused, for reads and writes, naming table, key and partitions', async () => {
    const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number', default: () => 0 })
    const task = makeTask(1)
    await task.add(counts)
    const event = new SmallEvent(task, 0)
    const key = keyIn(2)
    const refused = code('KEY_NOT_OWNED', `"${key}"`, 'table "counts"', 'partition 2', 'partition 1 of 4', 'groupBy')
    world.inAgent(event, () => {
      expect(() => counts.get(key)).toThrow(refused)
      expect(() => counts.has(key)).toThrow(refused)
      expect(() => counts.set(key, 1)).toThrow(refused)
      expect(() => counts.update(key, (n) => n + 1)).toThrow(refused)
      expect(() => counts.delete(key)).toThrow(refused)
      expect(() => counts.get(key, { committed: true })).toThrow(refused)
      expect(counts.update(keyIn(1), (n) => n + 1)).toBe(1)
    })
  })

  test('another key codec is what is named when it may be the reason', async () => {
    const counts = createTable(world.deps, 'counts', { key: 'json', value: 'number' })
    const task = makeTask(1)
    await task.add(counts)
    const wrong =
      ['a', 'b', 'c', 'd', 'e'].find((key) => partitionForKey(Buffer.from(JSON.stringify(key)), PARTITIONS) !== 1) ?? ''
    world.inAgent(new SmallEvent(task, 0), () =>
      expect(() => counts.get(wrong)).toThrow(code('KEY_CODEC_DIFFERS', 'json', 'topic "source"', 'string')),
    )
  })

  test('composite keys: partitionBy gives the key of the source', async () => {
    const visits = createTable(world.deps, 'visits', {
      key: json<{ user: string; day: number }>(),
      value: 'number',
      default: () => 0,
      partitionBy: ({ user }) => user,
    })
    const task = makeTask(3)
    await task.add(visits)
    const event = new SmallEvent(task, 0)
    world.inAgent(event, () => {
      expect(visits.update({ user: keyIn(3), day: 1 }, (n) => n + 1)).toBe(1)
      expect(visits.update({ day: 1, user: keyIn(3) }, (n) => n + 1)).toBe(2)
      expect(() => visits.get({ user: keyIn(0), day: 1 })).toThrow(code('KEY_NOT_OWNED', 'partition 0'))
    })
    event.finish()
    expect(visits.get({ user: keyIn(3), day: 1 })).toBe(2)
    const key = visits.parseKey(`{"user":"${keyIn(3)}","day":1}`)
    expect([visits.partitionOf(key), key.toString()]).toEqual([3, `{"day":1,"user":"${keyIn(3)}"}`])
    expect(visits.lookup(`{"user":"${keyIn(3)}","day":1}`)).toBe(2)
  })

  test("partitioner 'source': any key is taken where its event is, and found wherever it is", async () => {
    const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number', partitioner: 'source' })
    const tasks = [0, 1, 2, 3].map((partition) => makeTask(partition))
    for (const task of tasks) await task.add(counts)
    const task = tasks[1]
    if (task === undefined) throw new Error('There are four tasks.')
    const event = new SmallEvent(task, 0)
    world.inAgent(event, () => counts.set(keyIn(2), 5))
    event.finish()
    expect(counts.get(keyIn(2))).toBe(5)
    expect(counts.get('nowhere')).toBeUndefined()
    tasks[3]?.close()
    expect(() => counts.get('nowhere')).toThrow(code('PARTITION_NOT_LOCAL', "partitioner 'source'"))
    expect(() => counts.partitionOf(Buffer.from('x'))).toThrow(code('DEFINITION_INVALID', 'table "counts"'))
  })

  test('a task that does not have the table', () => {
    const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number' })
    const task = makeTask(0, { partitions: 8 })
    world.inAgent(new SmallEvent(task, 0), () =>
      expect(() => counts.get('a')).toThrow(code('NOT_COPARTITIONED', 'Table "counts"', 'topic "source" has 8')),
    )
  })
})

describe('where there is no event', () => {
  test('reads see finished events of whichever worker has the partition, the nearest first', async () => {
    const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number', default: () => 0 })
    const [one, other] = [keyIn(0), keyIn(1)]
    expect(() => counts.get(one)).toThrow(code('PARTITION_NOT_LOCAL', `"${one}"`, 'table "counts"'))
    const second = new SmallWorker('worker-2')
    world.workers.push(second)
    const here = makeTask(0)
    const there = makeTask(1, { worker: second })
    await here.add(counts)
    await there.add(counts)
    for (const [task, key] of [
      [here, one],
      [there, other],
    ] as const) {
      const event = new SmallEvent(task, 0)
      world.inAgent(event, () => counts.update(key, (n) => n + 1))
      expect(counts.get(key)).toBe(0)
      event.finish()
      expect(counts.get(key)).toBe(1)
      expect(counts.get(key, { committed: true })).toBe(0)
    }
    expect(world.onWorker(second, () => counts.get(one))).toBe(1)
    expect(world.onWorker(second, () => counts.size)).toBe(1)
    expect(counts.size).toBe(2)
    expect([counts.state(0)?.dirtyBytes !== 0, counts.state(1) === undefined, counts.state(2)]).toEqual([
      true,
      false,
      undefined,
    ])
    const third = keyIn(2)
    expect(() => counts.get(third)).toThrow(code('PARTITION_NOT_LOCAL', `"${third}"`, 'partition 2 of 4'))
  })

  test('no worker at all, writes outside agents, between and after events', async () => {
    const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number', default: () => 0 })
    const task = makeTask(0, { partitions: 1 })
    await task.add(counts)
    expect(() => counts.set('a', 1)).toThrow(code('WRITE_OUTSIDE_AGENT', 'table "counts"'))
    world.onWorker(world.worker, () => expect(() => counts.delete('a')).toThrow(code('WRITE_OUTSIDE_AGENT')))
    world.inAgent(undefined, () =>
      expect(() => counts.update('a', (n) => n)).toThrow(code('NO_CURRENT_EVENT', 'table "counts"', 'agent "agent"')),
    )
    const event = new SmallEvent(task, 0)
    event.finish()
    world.inAgent(event, () => {
      expect(() => counts.set('a', 1)).toThrow(code('NO_CURRENT_EVENT'))
      expect(counts.get('a')).toBe(0)
    })
    world.workers.length = 0
    for (const read of [() => counts.get('a'), () => counts.size, () => counts.entries(), () => counts.lookup('a')])
      expect(read).toThrow(code('NO_WORKER'))
    expect(counts.stats().rows).toBe(0)
    expect(counts.partitionOf(Buffer.from('a'))).toBeUndefined()
  })
})

describe('values', () => {
  test('undefined is refused, the default is made anew for each key and not kept', async () => {
    const lists = createTable(world.deps, 'lists', { key: 'string', value: json<string[]>(), default: () => [] })
    const task = makeTask(0, { partitions: 1 })
    await task.add(lists)
    world.inAgent(new SmallEvent(task, 0), () => {
      expect(() => Reflect.apply(lists.set, lists, ['a', undefined])).toThrow(
        code('VALUE_UNDEFINED', '"a"', 'table "lists"', 'delete'),
      )
      expect(() => Reflect.apply(lists.update, lists, ['a', () => undefined])).toThrow(
        code('VALUE_UNDEFINED', 'update'),
      )
      expect(lists.get('a')).not.toBe(lists.get('b'))
      expect(lists.has('a')).toBe(false)
      expect(lists.update('a', (list) => [...list, 'x'])).toEqual(['x'])
      expect(lists.get('b')).toEqual([])
    })
  })

  test('what a codec refuses is refused in the handler, and the row stays as it was', async () => {
    const even: Codec<number> = {
      name: 'even',
      encode(n) {
        if (n % 2 !== 0) throw new Error(`${n} is odd.`)
        return Buffer.from(String(n))
      },
      decode: (bytes) => Number(bytes.toString()),
    }
    const evens = createTable(world.deps, 'evens', { key: 'string', value: even })
    const numbers = createTable(world.deps, 'numbers', { key: 'string', value: 'number' })
    const bytes = createTable(world.deps, 'bytes', { key: 'bytes', value: 'bytes' })
    const task = makeTask(0, { partitions: 1 })
    for (const table of [evens, numbers, bytes]) await task.add(table)
    const event = new SmallEvent(task, 0)
    world.inAgent(event, () => {
      evens.set('a', 2)
      expect(() => evens.set('a', 3)).toThrow(code('ENCODE_FAILED', 'table "evens"', '3 is odd'))
      expect(evens.get('a')).toBe(2)
      expect(() => numbers.set('a', NaN)).toThrow(code('ENCODE_FAILED', 'table "numbers"', 'NaN'))
      expect(() => Reflect.apply(bytes.set, bytes, [Buffer.from('a'), 'text'])).toThrow(
        code('ENCODE_FAILED', 'table "bytes"'),
      )
      expect(() => Reflect.apply(numbers.get, numbers, [7])).toThrow(code('ENCODE_FAILED', 'table "numbers"'))
      bytes.set(Buffer.from('a'), Uint8Array.of(1, 2))
    })
    event.finish()
    expect(task.open(evens)?.takeRows()).toEqual([{ key: Buffer.from('a'), value: Buffer.from('2') }])
    expect(task.open(numbers)?.takeRows()).toEqual([])
    expect(bytes.get(Uint8Array.of(97))).toEqual(Uint8Array.of(1, 2))
  })

  test('given out frozen where that is asked for', async () => {
    const people = createTable(world.deps, 'people', {
      key: 'string',
      value: json<{ name: string; tags: string[] }>(),
      default: () => ({ name: '', tags: [] }),
    })
    const task = makeTask(0, { partitions: 1, freeze: true })
    await task.add(people)
    const event = new SmallEvent(task, 0)
    world.inAgent(event, () => {
      people.set('a', { name: 'A', tags: ['x'] })
      for (const key of ['a', 'absent']) {
        expect(Reflect.set(people.get(key), 'name', 'B')).toBe(false)
        expect(() => Reflect.apply(Array.prototype.push, people.get(key).tags, ['y'])).toThrow(TypeError)
      }
    })
    event.finish()
    expect(people.get('a')).toEqual({ name: 'A', tags: ['x'] })
  })

  test('a row that cannot be decoded names table and key, unless migrate reads it', async () => {
    const options = { key: 'string', value: json<{ n: number }>() } as const
    const strict = createTable(world.deps, 'rows', options)
    const migrated = createTable(world.deps, 'moved', {
      ...options,
      migrate: (raw, key) => ({ n: key === 'bad' ? Number.NaN : Number(raw.toString('utf8').slice(1)) }),
    })
    const task = makeTask(0, { partitions: 1 })
    for (const table of [strict, migrated]) {
      const stored = await store.open(table.name, 0)
      await store.commit([
        { partition: stored, rows: [{ key: Buffer.from('old'), value: Buffer.from('v5') }], checkpoint: undefined },
      ])
      world.worker.tasks.push(task)
      const limits = { cacheBytes: 1000, countChanged: () => {}, maxRowBytes: 1000 }
      const state = table.openState({ task, store: stored, ...limits, freeze: false })
      task.open = (part) => (part === table ? state : undefined)
      if (table === strict) {
        expect(() => table.get('old')).toThrow(code('ROW_UNDECODABLE', '"old"', 'table "rows"', 'migrate'))
        await expect(all(table.entries())).rejects.toThrow(code('ROW_UNDECODABLE'))
      } else {
        expect(table.get('old')).toEqual({ n: 5 })
      }
    }
  })
})

test('keys as text', () => {
  const at = (key: 'string' | 'number' | 'json'): AnyTable => createTable(world.deps, 't', { key, value: 'number' })
  expect(at('string').parseKey('a b').toString()).toBe('a b')
  expect(at('number').parseKey('1.0').toString()).toBe('1')
  expect(at('json').parseKey('{"b":1,"a":[2]}').toString()).toBe('{"a":[2],"b":1}')
  expect(() => at('number').parseKey('one')).toThrow(code('KEY_INVALID', '"one"', 'table "t"'))
  expect(() => at('json').parseKey('{')).toThrow(code('KEY_INVALID'))
  expect(() => createTable(world.deps, 'no spaces', { key: 'string', value: 'number' })).toThrow(code('NAME_INVALID'))
})

test('a scan of a large table goes on over many turns, while rows change', async () => {
  const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number', default: () => 0 })
  const task = makeTask(0, { partitions: 1 })
  await task.add(counts)
  const write = (from: number, to: number): void => {
    const event = new SmallEvent(task, from)
    world.inAgent(event, () => {
      for (let i = from; i < to; i++) counts.update(String(i).padStart(5, '0'), (n) => n + 1)
    })
    event.finish()
  }
  write(0, 2000)
  task.beginCommit()
  await task.endCommit(true)
  write(1990, 3000)
  const found = new Map<string, number>()
  let turns = 0
  const counting = setImmediate(function again() {
    turns++
    if (found.size < 3000) setImmediate(again)
  })
  for await (const [key, n] of counts.entries()) {
    expect(found.has(key)).toBe(false)
    found.set(key, n)
    if (found.size === 700) {
      write(1900, 3001)
      task.beginCommit()
      await task.endCommit(true)
    }
  }
  clearImmediate(counting)
  expect(found.size).toBeGreaterThanOrEqual(3000)
  expect([...found].filter(([, n]) => n === 2).length).toBeGreaterThanOrEqual(1000)
  expect(turns).toBeGreaterThan(3)
  const reading = counts.keys()
  await reading.next()
  task.close()
  await expect(all(reading)).rejects.toThrow(code('PARTITION_NOT_LOCAL', 'table "counts"'))
})
