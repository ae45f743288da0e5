import { createApp, json, type App } from '@millrace/app'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { testApp } from '../index.ts'

const KEYS = ['a', 'b'] as const
const TABLES = ['first', 'second', 'everywhere'] as const
const Key = z.enum(KEYS)
const TableName = z.enum(TABLES)
const Step = z.union([
  z.object({ do: z.enum(['get', 'set', 'update', 'delete']), table: TableName, key: Key }),
  z.object({ do: z.enum(['add', 'delete element', 'has']), key: Key, element: z.number() }),
  z.object({ do: z.literal('values'), key: Key }),
  z.object({ do: z.literal('entries') }),
  z.object({ do: z.literal('pause') }),
])
const Program = z.object({ id: z.number(), steps: z.array(Step) })
type Step = z.infer<typeof Step>
type TableName = z.infer<typeof TableName>

/** Tables and sets, as the app has them or as maps. */
interface State {
  table(name: TableName): {
    get(key: string): number | undefined
    set(key: string, value: number): void
    update(key: string, change: (value: number | undefined) => number): number
    delete(key: string): boolean
  }
  add(key: string, element: number): boolean
  delete(key: string, element: number): boolean
  has(key: string, element: number): boolean
  values(key: string): readonly number[]
  entries(): Promise<readonly (readonly [string, number])[]>
}

/** Does the steps, what it writes being made of what it has read; gives what it has seen. */
async function run(steps: readonly Step[], state: State, pause: () => Promise<void>): Promise<readonly string[]> {
  const seen: string[] = []
  let sum = 1
  const see = (value: number | undefined): void => {
    seen.push(String(value))
    sum = (sum * 31 + (value ?? 7)) % 1_000_003
  }
  for (const step of steps) {
    switch (step.do) {
      case 'get':
        see(state.table(step.table).get(step.key))
        break
      case 'set':
        state.table(step.table).set(step.key, sum)
        break
      case 'update':
        see(state.table(step.table).update(step.key, (value) => ((value ?? 0) * 3 + sum) % 1_000_003))
        break
      case 'delete':
        see(state.table(step.table).delete(step.key) ? 1 : 0)
        break
      case 'add':
        see(state.add(step.key, step.element) ? 1 : 0)
        break
      case 'delete element':
        see(state.delete(step.key, step.element) ? 1 : 0)
        break
      case 'has':
        see(state.has(step.key, step.element) ? 1 : 0)
        break
      case 'values':
        for (const element of state.values(step.key)) see(element)
        break
      case 'entries':
        for (const [key, value] of await state.entries()) see(key.charCodeAt(0) + value)
        break
      case 'pause':
        await pause()
    }
  }
  return seen
}

/** What one event after the other would make of it. */
class OneByOne implements State {
  readonly #tables = new Map(TABLES.map((name) => [name, new Map<string, number>()]))
  readonly #sets = new Map<string, Set<number>>()

  table(name: TableName): ReturnType<State['table']> {
    const rows = this.#tables.get(name) ?? new Map<string, number>()
    return {
      get: (key) => rows.get(key),
      set: (key, value) => void rows.set(key, value),
      update: (key, change) => {
        const value = change(rows.get(key))
        rows.set(key, value)
        return value
      },
      delete: (key) => rows.delete(key),
    }
  }

  add(key: string, element: number): boolean {
    const is = this.has(key, element)
    this.#sets.set(key, new Set([...(this.#sets.get(key) ?? []), element]))
    return !is
  }

  delete(key: string, element: number): boolean {
    return this.#sets.get(key)?.delete(element) ?? false
  }

  has(key: string, element: number): boolean {
    return this.#sets.get(key)?.has(element) ?? false
  }

  values(key: string): readonly number[] {
    return [...(this.#sets.get(key) ?? [])].toSorted((a, b) => a - b)
  }

  async entries(): Promise<readonly (readonly [string, number])[]> {
    return KEYS.flatMap((key) => {
      const value = this.table('first').get(key)
      return value === undefined ? [] : [[key, value] as const]
    })
  }
}

/** Handlers of four kinds on the same tables, in one task; where they pause, `pauses` gathers what lets them go on. */
function sharing(cacheBytes: number) {
  const app: App = createApp({ id: 'shop', broker: 'memory:', cacheBytes })
  const one = { partitions: 1 }
  const program = { key: 'string', value: json(Program), ...one } as const
  const single = app.topic('single', program)
  const several = app.topic('several', program)
  const batches = app.topic('batches', program)
  const loose = app.topic('loose', program)
  const done = app.topic('done', {
    value: json(z.object({ ids: z.array(z.number()), seen: z.array(z.string()) })),
    ...one,
  })
  const rows = { key: 'string', value: 'number', ...one } as const
  const tables = {
    first: app.table('first', rows),
    second: app.table('second', rows),
    everywhere: app.globalTable('everywhere', rows),
  }
  const set = app.setTable('set', { key: 'string', value: 'number', ...one })
  const pauses: (() => void)[] = []
  const pause = (): Promise<void> => new Promise((resolve) => void pauses.push(resolve))
  const state: State = {
    table: (name) => tables[name],
    add: (key, element) => set.add(key, element),
    delete: (key, element) => set.delete(key, element),
    has: (key, element) => set.has(key, element),
    values: (key) => set.values(key),
    entries: async () => {
      const found: (readonly [string, number])[] = []
      for await (const row of tables.first.entries()) found.push(row)
      return found
    },
  }
  const handle = async (programs: readonly z.infer<typeof Program>[]): Promise<void> => {
    const steps = programs.flatMap((each) => each.steps)
    const seen = await run(steps, state, pause)
    await done.send({ value: { ids: programs.map(({ id }) => id), seen: [...seen] } })
  }
  app.agent('single', single, async (programs) => {
    for await (const each of programs) await handle([each])
  })
  app.agent(
    'several',
    several,
    async (programs) => {
      for await (const each of programs) await handle([each])
    },
    { concurrency: 3 },
  )
  app.agent('batches', batches, async (programs) => {
    for await (const each of programs.take(2, { within: '1s' })) await handle(each)
  })
  app.agent('loose', loose, async (programs) => {
    for await (const event of programs.noAck().events())
      void event
        .run(() => handle([event.value]))
        .then(
          () => event.ack(),
          () => event.ack(),
        )
  })
  return { app, sources: [single, several, batches, loose], state, pauses }
}

const key = fc.constantFrom(...KEYS)
const table = fc.constantFrom(...TABLES)
const element = fc.integer({ min: 0, max: 2 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('get', 'set', 'update', 'delete'), table, key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('add', 'delete element', 'has'), key, element }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('values'), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('entries') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pause') }) },
)
const programs = fc.array(
  fc.record({
    source: fc.integer({ min: 0, max: 3 }),
    key: fc.constantFrom('x', 'y', 'z'),
    steps: fc.array(step, { maxLength: 7 }),
  }),
  { minLength: 2, maxLength: 9 },
)

test.each([0, 1_000_000])(
  'handlers that wait between reading and writing equal some order of one after the other; cache of %i bytes',
  async (cacheBytes) => {
    await fc.assert(
      fc.asyncProperty(programs, fc.array(fc.nat(), { minLength: 1, maxLength: 50 }), async (given, choices) => {
        const { app, sources, state, pauses } = sharing(cacheBytes)
        await using t = await testApp(app)
        for (const [id, { source, key: sourceKey, steps }] of given.entries()) {
          const topic = sources[source]
          if (topic !== undefined) await t.send(topic, { key: sourceKey, value: { id, steps } })
        }
        const finished = (): readonly { readonly ids: readonly number[]; readonly seen: readonly string[] }[] =>
          t.log.records('done').map(({ value }) => JSON.parse(String(value)))
        let rounds = 0
        /** Lets handlers go on, one at a time, until `there`. */
        const goOn = async (there: () => boolean): Promise<void> => {
          while (!there()) {
            if (++rounds > 5000) throw new Error(`No end in sight: ${JSON.stringify(t.all[0]?.worker.quiet())}`)
            for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => void setImmediate(resolve))
            const [handler] = pauses.splice((choices[rounds % choices.length] ?? 0) % Math.max(1, pauses.length), 1)
            handler?.()
          }
        }
        const all = (): boolean => finished().flatMap(({ ids }) => ids).length >= given.length
        while (!all()) {
          // A batch of one waits for a second for another.
          let moved = false
          const advancing = t.clock.advance('1s').finally(() => (moved = true))
          await goOn(() => moved)
          await advancing
        }
        await t.settle()
        const model = new OneByOne()
        for (const { ids, seen } of finished()) {
          const steps = ids.flatMap((id) => given[id]?.steps ?? [])
          expect(await run(steps, model, async () => {})).toEqual(seen)
        }
        for (const each of KEYS) {
          for (const name of TABLES) expect(state.table(name).get(each)).toBe(model.table(name).get(each))
          expect(state.values(each)).toEqual(model.values(each))
        }
      }),
      { numRuns: 60 },
    )
  },
)
