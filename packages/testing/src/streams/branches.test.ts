import { type Branches, type BranchPredicate, createApp, type Stream } from '@millrace/app'
import { json } from '@millrace/core'
import fc from 'fast-check'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { testApp } from '../index.ts'

interface Paid {
  readonly state: 'paid'
  readonly cents: number
}
interface Refused {
  readonly state: 'refused'
  readonly reason: string
}
interface Open {
  readonly state: 'open'
}
type Order = Paid | Refused | Open

const isPaid = (order: Order): order is Paid => order.state === 'paid'
const isRefused = (order: Order): order is Refused => order.state === 'refused'

const Plan = fc.record({
  /** Each record's number says its branch, modulo 4: two predicates, the rest, and a second branching of the rest. */
  records: fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 30 }),
  /** Records whose handling fails so often. */
  failing: fc.array(fc.tuple(fc.nat({ max: 29 }), fc.integer({ min: 1, max: 2 })), { maxLength: 5 }),
  slowSteps: fc.boolean(),
  slowPredicates: fc.boolean(),
  spread: fc.constantFrom('no', 'before', 'asynchronously before', 'behind'),
  take: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  regrouped: fc.boolean(),
  noAck: fc.boolean(),
  merged: fc.boolean(),
  concurrency: fc.integer({ min: 1, max: 3 }),
})

interface Item {
  readonly id: number
  readonly kind: number
  readonly copy: number
}

test('each event is handled once, by one branch, through failures, waits, batches, flatMap and groupBy', async () => {
  await fc.assert(
    fc.asyncProperty(Plan, async (plan) => {
      const { records, slowSteps, slowPredicates, spread, take, regrouped, noAck, merged, concurrency } = plan
      const failures = new Map(plan.failing)
      const app = createApp({ id: 'split', agent: { backoff: 1 } })
      const source = app.topic('items', { key: 'string', value: json<Item>(), partitions: 2 })
      const handled = app.topic('handled', {
        key: 'string',
        value: json<{ item: Item; by: string }>(),
        partitions: 2,
      })
      const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0, partitions: 2 })

      const copies = (item: Item): Item[] => [0, 1].map((copy) => ({ ...item, copy }))
      async function* copiesLater(item: Item): AsyncGenerator<Item> {
        for (const each of copies(item)) yield await Promise.resolve(each)
      }
      const handle = async (by: string, item: Item): Promise<void> => {
        const key = `k${item.id % 3}`
        counts.update(key, (n) => n + 1)
        if (slowSteps) await Promise.resolve()
        await handled.send({ key, value: { item, by } })
        const left = failures.get(item.id) ?? 0
        if (left === 0) return
        failures.set(item.id, left - 1)
        throw new Error(`not ${item.id} yet`)
      }
      const kind =
        (...kinds: readonly number[]): BranchPredicate<Item> =>
        (item) => {
          const holds = kinds.includes(item.kind % 4)
          return slowPredicates ? Promise.resolve(holds) : holds
        }
      const loop = async (by: string, stream: Stream<string, Item>): Promise<void> => {
        for await (const item of stream) await handle(by, item)
      }
      app.agent(
        'split',
        source,
        async (stream) => {
          let items = slowSteps ? stream.map(async (item) => item) : stream
          if (spread === 'before') items = items.flatMap(copies)
          if (spread === 'asynchronously before') items = items.flatMap(copiesLater)
          // The second holds where the first does too, and gets only what that leaves.
          const [first, second, rest] = items.branch(kind(0), kind(0, 1))
          const [third, fourth] = rest.branch(kind(2))
          const firsts = spread === 'behind' ? first.flatMap(copies) : first
          const seconds = regrouped ? second.groupBy(({ id }) => `k${id % 3}`, { name: 'again' }) : second
          const ends = [
            take === undefined || spread.endsWith('before')
              ? loop('first', firsts)
              : firsts.take(take, { within: '1s' }).forEach(async (batch) => {
                  for (const item of batch) await handle('first', item)
                }),
            loop('second', seconds),
          ]
          if (merged) ends.push(loop('third or fourth', third.merge(fourth)))
          else {
            ends.push(third.forEach((item) => handle('third', item)))
            ends.push(
              noAck
                ? fourth
                    .noAck()
                    .events()
                    .forEach(async (event) => {
                      await event.run(() => handle('fourth', event.value))
                      event.ack()
                    })
                : fourth.tap((item) => handle('fourth', item)).to(),
            )
          }
          await Promise.all(ends)
        },
        { concurrency, onError: { retry: 20, then: 'stop' } },
      )
      await using t = await testApp(app)
      for (const [id, kind] of records.entries())
        await t.send(source, { key: `k${id % 3}`, value: { id, kind, copy: 0 } })
      for (let again = 0; again < 8; again++) await t.clock.advance('2s')

      const name = (kind: number): string =>
        kind % 4 < 2
          ? (['first', 'second'][kind % 4] ?? '')
          : merged
            ? 'third or fourth'
            : (['third', 'fourth'][(kind % 4) - 2] ?? '')
      const twice = (kind: number): boolean => spread.endsWith('before') || (spread === 'behind' && kind % 4 === 0)
      const expected = [...records.entries()].flatMap(([id, kind]) =>
        (twice(kind) ? [0, 1] : [0]).map((copy) => ({ item: { id, kind, copy }, by: name(kind) })),
      )
      const sent = t.sent(handled).flatMap(({ value }) => (value === null ? [] : [value]))
      const byId = (all: typeof expected): typeof expected =>
        all.toSorted((a, b) => a.item.id - b.item.id || a.item.copy - b.item.copy)
      expect(byId(sent)).toEqual(byId(expected))
      for (const key of ['k0', 'k1', 'k2']) {
        const own = ({ item }: { item: Item }): boolean => `k${item.id % 3}` === key
        expect(counts.get(key)).toBe(expected.filter(own).length)
        // Of one key in the order of the topic; what gathers, or goes by way of a topic, comes later than the rest.
        if (take === undefined && !regrouped) expect(sent.filter(own)).toEqual(expected.filter(own))
      }
      const [worker] = t.all
      expect(worker?.worker.quiet()).toMatchObject({ idle: true, inFlight: [] })
    }),
    { numRuns: 60 },
  )
})

describe('branch', () => {
  test('types branches by their narrowing predicates, and the rest by what remains', async () => {
    const app = createApp({ id: 'typed' })
    const orders = app.topic('orders', { key: 'string', value: json<Order>(), partitions: 1 })
    const seen: unknown[] = []
    app.agent('sort', orders, async (orders) => {
      const branches = orders.branch(isPaid, isRefused, (order) => order.state === 'open')
      const [paid, refused, open, rest] = branches
      expectTypeOf(paid).toEqualTypeOf<Stream<string, Paid>>()
      expectTypeOf(refused).toEqualTypeOf<Stream<string, Refused>>()
      expectTypeOf(open).toEqualTypeOf<Stream<string, Open>>()
      expectTypeOf(rest).toEqualTypeOf<Stream<string, never>>()
      expectTypeOf(branches).toExtend<Branches<string, Order, readonly BranchPredicate<Order>[]>>()
      const [, others] = paid.branch((order) => order.cents > 100)
      expectTypeOf(others).toEqualTypeOf<Stream<string, Paid>>()
      // @ts-expect-error without a predicate there is nothing to branch by
      void (() => orders.branch())
      // @ts-expect-error no order has a price
      void (() => orders.branch((order) => order.price > 1))
      throw new Error('this test is one of types')
    })
    app.agent('sorted', orders, async (orders) => {
      const [paid, refused, rest] = orders.branch(isPaid, isRefused)
      await Promise.all([
        paid.forEach(({ cents }) => void seen.push(cents)),
        refused.forEach(({ reason }) => void seen.push(reason)),
        rest.to(({ state }) => seen.push(state)),
      ])
    })
    expect(app).toBeDefined()
  })

  test('counts an event as finished when its branch finishes it', async () => {
    const app = createApp({ id: 'ends' })
    const source = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
    const small: number[] = []
    let go = (): void => {}
    const gate = new Promise<void>((resolve) => (go = resolve))
    app.agent('sort', source, async (numbers) => {
      const [large, rest] = numbers.branch((n) => n >= 10)
      await Promise.all([large.forEach(() => gate), rest.forEach((n) => void small.push(n))])
    })
    await using t = await testApp(app)
    const inFlight = (): readonly string[] => t.all[0]?.worker.quiet().inFlight ?? []
    for (const value of [1, 10, 2]) await t.send(source, { key: 'a', value })
    await until(() => inFlight().some((what) => what.startsWith('numbers/0@1')))
    // The order of a key holds across branches.
    expect(small).toEqual([1])
    go()
    await t.settle()
    expect(small).toEqual([1, 2])
    expect(inFlight()).toEqual([])
  })

  test('an event that fails permanently in its branch becomes a dead letter, and the branches continue', async () => {
    const app = createApp({ id: 'dead', agent: { backoff: 1 } })
    const source = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
    const loud = app.topic('loud', { key: 'string', value: 'string', partitions: 1 })
    const tries: number[] = []
    app.agent(
      'sort',
      source,
      async (numbers) => {
        const [odd, even] = numbers.branch((n) => {
          if (n === 7) throw new Error('seven')
          return n % 2 === 1
        })
        await Promise.all([
          odd.map((n) => `${n}`).to(loud),
          even.forEach(async (n) => {
            tries.push(n)
            await loud.send({ key: 'even', value: `${n}` })
            if (n === 4) throw new Error('four')
          }),
        ])
      },
      { onError: { retry: 2, then: 'deadLetter' } },
    )
    await using t = await testApp(app)
    for (const value of [1, 2, 3, 4, 5, 6, 7, 8]) await t.send(source, { key: 'a', value })
    for (let again = 0; again < 6; again++) await t.clock.advance('5s')
    expect(tries).toEqual([2, 4, 4, 4, 6, 8])
    expect(t.sent(loud).map(({ value }) => value)).toEqual(['1', '2', '3', '5', '6', '8'])
    expect(await t.deadLetters.list({ agent: 'sort' })).toMatchObject([{ letters: 2 }])
    expect(t.all[0]?.worker.quiet()).toMatchObject({ idle: true, inFlight: [] })
  })

  test('a yield replies to the event of the branch that the generator reads', async () => {
    const app = createApp({ id: 'asked' })
    const aside: number[] = []
    const agent = app.agent(
      'sort',
      { key: 'string', value: 'number' },
      async function* (numbers) {
        const [large, rest] = numbers.branch((n) => n >= 10)
        const others = rest.forEach(async (n) => void aside.push(await Promise.resolve(n)))
        for await (const n of large) yield await Promise.resolve(n * 2)
        await others
      },
      { concurrency: 1 },
    )
    await using t = await testApp(app)
    for (const n of [10, 20, 30]) {
      // Whoever waits last for an event is the other branch.
      await agent.cast(n / 10)
      await t.settle()
      expect(await agent.ask(n, { key: 'a' })).toBe(n * 2)
    }
    expect(aside).toEqual([1, 2, 3])
  })

  test('a branch of events can read headers, and cannot be grouped', async () => {
    const app = createApp({ id: 'headers' })
    const source = app.topic('posts', { key: 'string', value: 'string', partitions: 1 })
    const seen: string[] = []
    app.agent('sort', source, async (posts) => {
      const [tests, real] = posts.events().branch(({ headers }) => headers.kind === 'test')
      await Promise.all([tests.to(), real.forEach(({ key, value }) => void seen.push(`${key}=${value}`))])
    })
    await using t = await testApp(app)
    await t.send(source, { key: 'a', value: 'one', headers: { kind: 'test' } })
    await t.send(source, { key: 'b', value: 'two' })
    await t.settle()
    expect(seen).toEqual(['b=two'])
  })

  test.each([
    [
      'a branch without an end',
      async (numbers: Stream<string, number>) => {
        const [large, rest] = numbers.branch((n) => n > 10)
        await large.to()
        await rest.to()
      },
      'gives the rest of branch() over topic "numbers" no end before its first await',
    ],
    [
      'a stream that is read beside its branches',
      async (numbers: Stream<string, number>) => {
        const [large, rest] = numbers.branch((n) => n > 10)
        await Promise.all([large.to(), rest.to(), numbers.to()])
      },
      'whose events go through branch() already',
    ],
    [
      'what is no predicate',
      async (numbers: Stream<string, number>) => {
        // @ts-expect-error the compiler says it first, except to JavaScript
        await numbers.branch(10)[0].to()
      },
      'calls branch() with number as predicate 1',
    ],
    [
      'batches of events that are in several branches',
      async (numbers: Stream<string, number>) => {
        const [large] = numbers.flatMap((n) => [n, -n]).branch((n) => n > 10)
        await large.take(3).to()
      },
      'calls flatMap(), then branch(), then take()',
    ],
    [
      'events that are sent on as values',
      async (numbers: Stream<string, number>) => {
        const [large, rest] = numbers.events().branch(({ value }) => value > 10)
        // @ts-expect-error the compiler says it first, except to JavaScript
        await Promise.all([large.groupBy(() => '').to(), rest.to()])
      },
      'calls events() before groupBy',
    ],
  ])('refuses %s', async (_, handler, message) => {
    const app = createApp({ id: 'wrong' })
    const source = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
    app.agent('sort', source, handler)
    const starting = testApp(app).then(async (t) => {
      await t.settle()
      await t.close()
    })
    await expect(starting).rejects.toMatchObject({
      code: 'DEFINITION_INVALID',
      message: expect.stringContaining(message),
    })
  })

  test('stops with events in every branch, and gives back collected events', async () => {
    const app = createApp({ id: 'stops' })
    const source = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
    const seen: number[][] = []
    app.agent('sort', source, async (numbers) => {
      const [odd, even] = numbers.branch((n) => n % 2 === 1)
      const grouped = even.groupBy((n) => `k${n % 3}`, { name: 'again' })
      await Promise.all([odd.take(3).forEach((batch) => void seen.push(batch)), grouped.to()])
    })
    const t = await testApp(app)
    for (const value of [1, 2, 3, 4]) await t.send(source, { key: 'a', value })
    await until(() => (t.all[0]?.worker.quiet().inFlight.length ?? 0) > 0)
    await t.close()
    expect(seen).toEqual([])
  })

  test('a due batch waits for the event that another branch has in flight, and is not affected by its failure', async () => {
    const app = createApp({ id: 'turns' })
    const source = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
    const seen: unknown[] = []
    app.agent(
      'sort',
      source,
      async (numbers) => {
        const [large, small] = numbers.branch((n) => n >= 10)
        await Promise.all([
          large.forEach(async (n) => {
            seen.push(`begins ${n}`)
            await app.clock.sleep(3000)
            seen.push(`fails on ${n}`)
            throw new Error('too large')
          }),
          small.take(5, { within: '1s' }).forEach((batch) => void seen.push(batch)),
        ])
      },
      { onError: 'deadLetter' },
    )
    await using t = await testApp(app)
    for (const value of [1, 2, 10]) await t.send(source, { key: 'a', value })
    await t.clock.advance('2s')
    expect(seen).toEqual(['begins 10'])
    await t.clock.advance('5s')
    // Given back when the handler fails, the first two are gathered again.
    expect(seen).toEqual(['begins 10', 'fails on 10', [1, 2]])
    expect(await t.deadLetters.list({ agent: 'sort' })).toMatchObject([
      { letters: 1, newest: [{ source: { offset: 2 } }] },
    ])
    expect(t.all[0]?.worker.quiet()).toMatchObject({ idle: true, inFlight: [] })
  })

  test("an event that waits for its branch's turn is given back when another loop fails", async () => {
    const app = createApp({ id: 'waits', agent: { backoff: 1 } })
    const source = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
    const seen: string[] = []
    let failures = 1
    app.agent('sort', source, async (numbers) => {
      const [large, small] = numbers.branch((n) => n >= 10)
      const grouped = large.groupBy((n) => `k${n}`, { name: 'again' })
      await Promise.all([
        grouped.forEach(async (n) => {
          await app.clock.sleep(3000)
          seen.push(failures > 0 ? `fails on ${n}` : `does ${n}`)
          if (failures-- > 0) throw new Error('not yet')
        }),
        small.forEach((n) => void seen.push(`does ${n}`)),
      ])
    })
    await using t = await testApp(app)
    await t.send(source, { key: 'a', value: 10 })
    await t.settle()
    await t.send(source, { key: 'a', value: 1 })
    for (let again = 0; again < 4; again++) await t.clock.advance('5s')
    expect(seen.toSorted()).toEqual(['does 1', 'does 10', 'fails on 10'])
    expect(t.all[0]?.worker.quiet()).toMatchObject({ idle: true, inFlight: [] })
  })

  test.each(['a branch', 'another agent'])('ends its loops and steps when %s stops the worker', async (who) => {
    const app = createApp({ id: 'failing' })
    const source = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
    const ended: string[] = []
    let go = (): void => {}
    const gate = new Promise<void>((resolve) => (go = resolve))
    const fails = async (): Promise<never> => {
      await app.clock.sleep(1000)
      throw new Error('for good')
    }
    app.agent(
      'sort',
      source,
      async (numbers) => {
        const [large, small, rest] = numbers.branch(
          (n) => n >= 10,
          (n) => n >= 0,
        )
        const grouped = rest.groupBy((n) => `k${n}`, { name: 'again' })
        const ends = {
          // Also for the clock: a handler that waits for nothing but the test would keep it from settling.
          large: large.forEach(who === 'a branch' ? fails : () => Promise.race([gate, app.clock.sleep(60_000)])),
          small: small.to(),
          grouped: grouped.to(),
        }
        await Promise.all(Object.entries(ends).map(([name, end]) => end.then(() => ended.push(name))))
      },
      { onError: 'stop' },
    )
    if (who === 'another agent') app.agent('other', source, (numbers) => numbers.forEach(fails), { onError: 'stop' })
    const t = await testApp(app)
    await t.send(source, { key: 'a', value: 10 })
    await expect(t.clock.advance('5s')).rejects.toMatchObject({ code: 'AGENT_FAILED' })
    go()
    await t.close()
    await until(() => ended.length === (who === 'a branch' ? 2 : 3))
    expect(ended.toSorted()).toEqual(who === 'a branch' ? ['grouped', 'small'] : ['grouped', 'large', 'small'])
  })

  test('events that a branch has collected are given back when a rebalance waits for them', async () => {
    const app = createApp({ id: 'moves' })
    const source = app.topic('numbers', { key: 'string', value: 'number', partitions: 2 })
    const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0, partitions: 2 })
    const sizes: number[] = []
    app.agent('sort', source, async (numbers) => {
      const [odd, even] = numbers.items().branch(([, n]) => n % 2 === 1)
      await Promise.all([
        odd.take(3, { within: '1h' }).forEach((batch) => {
          sizes.push(batch.length)
          for (const [key] of batch) counts.update(key ?? '', (n) => n + 1)
        }),
        even.forEach(([key]) => void counts.update(key ?? '', (n) => n + 1)),
      ])
    })
    await using t = await testApp(app)
    const keys = ['a', 'b', 'c', 'd']
    for (const key of keys) for (const value of [1, 2]) await t.send(source, { key, value, partition: undefined })
    await until(() => (t.all[0]?.worker.quiet().inFlight.length ?? 0) > 0)
    await t.worker()
    expect(t.all.map(({ worker }) => worker.status)).toEqual(['running', 'running'])
    for (const key of keys) await t.send(source, { key, value: 3 })
    await t.clock.advance('2h')
    expect(keys.map((key) => counts.get(key))).toEqual([3, 3, 3, 3])
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(8)
  })
})

describe('flatMap with an asynchronous generator', () => {
  test('takes values one at a time, and closes the generator when its event fails', async () => {
    const app = createApp({ id: 'pages', agent: { backoff: 1 } })
    const source = app.topic('books', { key: 'string', value: 'number', partitions: 1 })
    const seen: string[] = []
    let failures = 1
    async function* pages(book: number): AsyncGenerator<string> {
      try {
        for (let page = 0; page < 3; page++) {
          seen.push(`turns to ${book}.${page}`)
          yield await Promise.resolve(`${book}.${page}`)
        }
      } finally {
        seen.push(`closes ${book}`)
      }
    }
    app.agent('read', source, async (books) => {
      for await (const page of books.flatMap(pages)) {
        seen.push(page)
        if (page === '1.1' && failures-- > 0) throw new Error('not yet')
      }
    })
    await using t = await testApp(app)
    for (const value of [1, 2]) await t.send(source, { key: 'a', value })
    await t.clock.advance('5s')
    const book = (n: number): string[] => [
      ...[0, 1, 2].flatMap((page) => [`turns to ${n}.${page}`, `${n}.${page}`]),
      `closes ${n}`,
    ]
    expect(seen).toEqual([...book(1).slice(0, 4), 'closes 1', ...book(1), ...book(2)])
    expect(t.all[0]?.worker.quiet()).toMatchObject({ idle: true, inFlight: [] })
  })

  test('fails its event if the generator throws, at once or while it waits', async () => {
    const app = createApp({ id: 'broken' })
    const source = app.topic('books', { key: 'string', value: 'number', partitions: 1 })
    const seen: number[] = []
    async function* halves(n: number): AsyncGenerator<number> {
      yield n
      if (n < 0) throw new Error('negative')
      yield n / 2
    }
    app.agent('read', source, (books) => books.flatMap(halves).forEach((n) => void seen.push(n)), { onError: 'skip' })
    await using t = await testApp(app)
    for (const value of [-1, 4]) await t.send(source, { key: 'a', value })
    await t.settle()
    expect(seen).toEqual([-1, 4, 2])
    expect(t.all[0]?.worker.quiet()).toMatchObject({ idle: true, inFlight: [] })
  })
})

async function until(condition: () => boolean): Promise<void> {
  const limitMs = performance.now() + 5000
  while (!condition()) {
    if (performance.now() > limitMs) throw new Error('It did not happen.')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
