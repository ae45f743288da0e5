import { type Codec, json } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import type { WorkerPart } from '@millrace/worker'
import { beforeEach, describe, expect, test } from 'vitest'
import { type TableWorker, TableWorld, withCache } from './fixtures/table-world.fixture.ts'
import { createTable } from './create-table.ts'
import { type AnyTable } from './table.ts'

const PARTITIONS = 4
let world: TableWorld

beforeEach(() => {
  world = new TableWorld()
})

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
  // A record costs 64 bytes beside its key and its value.
  const maxRecordBytes = 100 + 64
  const worker = await world.start([texts, blobs], { settings: { maxRecordBytes } })
  const event = await worker.event()
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
  withCache(counts, 0)
  const worker = await world.start([counts])
  const write = async (value: number): Promise<void> => {
    const event = await worker.event()
    world.inAgent(event, () => counts.set('a', value))
    event.finish()
    await worker.commit()
  }
  await write(1)
  const [before, after] = [await worker.event(), await worker.event()]
  world.inAgent(before, () => expect(counts.get('a')).toBe(1))
  expect(before.deferIfOutdated()).toBe(false)
  await write(2)
  // Others come into the cache, which has no room for what no event holds.
  for (let other = 0; other < 3; other++)
    world.inAgent(await worker.event(), () => expect(counts.get(`other ${other}`)).toBeUndefined())
  expect(before.deferIfOutdated()).toBe(true)
  world.inAgent(after, () => expect(counts.get('a')).toBe(2))
  expect(after.deferIfOutdated()).toBe(false)
})

describe('ownership', () => {
  test('a key of another partition is refused, for reads and writes, naming table, key and partitions', async () => {
    const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number', default: () => 0 })
    const worker = await world.start([counts], { partitions: PARTITIONS })
    const event = await worker.event(1)
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
    const worker = await world.start([counts], { partitions: PARTITIONS })
    const wrong =
      ['a', 'b', 'c', 'd', 'e'].find((key) => partitionForKey(Buffer.from(JSON.stringify(key)), PARTITIONS) !== 1) ?? ''
    world.inAgent(await worker.event(1), () =>
      expect(() => counts.get(wrong)).toThrow(code('KEY_CODEC_DIFFERS', 'json', 'topic "in"', 'string')),
    )
  })

  test('composite keys: partitionBy gives the key of the source', async () => {
    const visits = createTable(world.deps, 'visits', {
      key: json<{ user: string; day: number }>(),
      value: 'number',
      default: () => 0,
      partitionBy: ({ user }) => user,
    })
    const worker = await world.start([visits], { partitions: PARTITIONS })
    const event = await worker.event(3)
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
    const worker = await world.start([counts], { partitions: PARTITIONS })
    const event = await worker.event(1)
    world.inAgent(event, () => counts.set(keyIn(2), 5))
    event.finish()
    expect(counts.get(keyIn(2))).toBe(5)
    expect(counts.get('nowhere')).toBeUndefined()
    await world.start([counts], { partitions: PARTITIONS })
    world.workers.pop()
    await worker.engine.until(
      'the other worker has some of it',
      () => counts.state(3) === undefined || counts.state(0) === undefined,
    )
    expect(() => counts.get('nowhere')).toThrow(code('PARTITION_NOT_LOCAL', "partitioner 'source'"))
    expect(() => counts.partitionOf(Buffer.from('x'))).toThrow(code('DEFINITION_INVALID', 'table "counts"'))
  })

  test('a task that does not have the table', async () => {
    const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number', partitions: PARTITIONS })
    const other: WorkerPart = {
      name: 'other',
      declare(_, topology) {
        const topic = { name: 'other', partitions: PARTITIONS, config: {}, create: true, internal: false }
        topology.topic({ ...topic, keyCodec: 'string' })
        topology.subscribe({ id: 'other', topics: ['other'], agent: 'other', instances: 1, ordering: 'key' })
      },
      start: async () => {},
      ready: () => {},
      stop: async () => {},
    }
    const worker = await world.start([counts], { partitions: 8, parts: [other] })
    world.inAgent(await worker.event(), () =>
      expect(() => counts.get('a')).toThrow(code('NOT_COPARTITIONED', 'Table "counts"', 'topic "in" has 8')),
    )
  })
})

describe('where there is no event', () => {
  test('reads see finished events of whichever worker has the partition, the nearest first', async () => {
    const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number', default: () => 0 })
    const anyKey = keyIn(0)
    const first = await world.start([counts], { partitions: PARTITIONS })
    world.workers.pop()
    expect(() => counts.get(anyKey)).toThrow(code('NO_WORKER'))
    const second = await world.start([counts], { partitions: PARTITIONS })
    world.workers.unshift(first.engine.worker.context)
    const partitionsOf = ({ engine }: TableWorker): readonly number[] => [
      ...engine.worker.context.openStates(counts).keys(),
    ]
    await first.engine.until(
      'each has its half',
      () => partitionsOf(first).length === 2 && partitionsOf(second).length === 2,
    )
    for (const worker of [first, second]) {
      const [partition = 0] = partitionsOf(worker)
      const key = keyIn(partition)
      const event = await worker.event(partition)
      world.inAgent(event, () => counts.update(key, (n) => n + 1), worker.engine.worker.context)
      expect(counts.get(key)).toBe(0)
      event.finish()
      expect(counts.get(key)).toBe(1)
      expect(counts.get(key, { committed: true })).toBe(0)
      expect(world.onWorker(first, () => counts.get(key))).toBe(1)
      expect(world.onWorker(worker, () => counts.size)).toBe(1)
      expect(counts.state(partition)?.dirtyBytes).toBeGreaterThan(0)
    }
    expect(counts.size).toBe(2)
    const away = partitionsOf(second)[0] ?? 0
    await second.engine.stop()
    world.workers.pop()
    await first.engine.until('the first has all', () => partitionsOf(first).length === PARTITIONS)
    expect(counts.get(keyIn(away))).toBe(1)
  })

  test('a partition that no worker of the process has is named', async () => {
    const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number' })
    const here = await world.start([counts], { partitions: PARTITIONS })
    await world.start([counts], { partitions: PARTITIONS })
    world.workers.pop()
    await here.engine.until('the other has its half', () => here.engine.worker.context.openStates(counts).size === 2)
    const away = [0, 1, 2, 3].find((partition) => counts.state(partition) === undefined) ?? 0
    expect(() => counts.get(keyIn(away))).toThrow(
      code('PARTITION_NOT_LOCAL', `"${keyIn(away)}"`, 'table "counts"', `partition ${away} of 4`),
    )
  })

  test('no worker at all, writes outside agents, between and after events', async () => {
    const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number', default: () => 0 })
    const worker = await world.start([counts])
    expect(() => counts.set('a', 1)).toThrow(code('WRITE_OUTSIDE_AGENT', 'table "counts"'))
    world.onWorker(worker, () => expect(() => counts.delete('a')).toThrow(code('WRITE_OUTSIDE_AGENT')))
    world.inAgent(undefined, () =>
      expect(() => counts.update('a', (n) => n)).toThrow(code('NO_CURRENT_EVENT', 'table "counts"', 'agent "agent"')),
    )
    const event = await worker.event()
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
    const worker = await world.start([lists])
    world.inAgent(await worker.event(), () => {
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
    const worker = await world.start([evens, numbers, bytes])
    const event = await worker.event()
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
    await worker.commit()
    const rows = (table: AnyTable): readonly (string | undefined)[][] =>
      worker.engine.records(table.changelog.topic).map(({ key, value }) => [key?.toString(), value?.toString()])
    expect(rows(evens)).toEqual([['a', '2']])
    expect(rows(numbers)).toEqual([])
    expect(bytes.get(Uint8Array.of(97))).toEqual(Uint8Array.of(1, 2))
  })

  test('given out frozen where that is asked for', async () => {
    const people = createTable(world.deps, 'people', {
      key: 'string',
      value: json<{ name: string; tags: string[] }>(),
      default: () => ({ name: '', tags: [] }),
    })
    const worker = await world.start([people])
    const event = await worker.event()
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
    // As an earlier version of the app has left them.
    const texts = [strict, migrated].map(({ name }) =>
      createTable(world.deps, name, { key: 'string', value: 'string' }),
    )
    const before = await world.start(texts)
    const event = await before.event()
    world.inAgent(event, () => texts.forEach((table) => table.set('old', 'v5')))
    event.finish()
    await before.engine.stop()
    world.workers.pop()
    await world.start([strict, migrated])
    expect(() => strict.get('old')).toThrow(code('ROW_UNDECODABLE', '"old"', 'table "rows"', 'migrate'))
    await expect(all(strict.entries())).rejects.toThrow(code('ROW_UNDECODABLE'))
    expect(migrated.get('old')).toEqual({ n: 5 })
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
  const worker = await world.start([counts])
  const write = async (from: number, to: number): Promise<void> => {
    const event = await worker.event()
    world.inAgent(event, () => {
      for (let i = from; i < to; i++) counts.update(String(i).padStart(5, '0'), (n) => n + 1)
    })
    event.finish()
  }
  await write(0, 2000)
  await worker.commit()
  await write(1990, 3000)
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
      await write(1900, 3001)
      await worker.commit()
    }
  }
  clearImmediate(counting)
  expect(found.size).toBeGreaterThanOrEqual(3000)
  expect([...found].filter(([, n]) => n === 2).length).toBeGreaterThanOrEqual(1000)
  expect(turns).toBeGreaterThan(3)
  const reading = counts.keys()
  await reading.next()
  const { rebalances } = worker.engine.worker.stats()
  worker.engine.expire()
  await worker.engine.until('its task has come back', () => worker.engine.worker.stats().rebalances > rebalances)
  await expect(all(reading)).rejects.toThrow(code('PARTITION_NOT_LOCAL', 'table "counts"'))
})
