import { json } from '@millrace/core'
import { describe, expect, test } from 'vitest'
import { createGlobalTable } from './global-table.ts'
import { createSetTable } from './set-table.ts'
import { TableWorld } from './fixtures/table-world.fixture.ts'
import { createTable } from './create-table.ts'

const { deps } = new TableWorld()
const TEXTS = { key: 'string', value: 'string' }

function refused(...words: readonly string[]): unknown {
  return expect.objectContaining({
    code: 'DEFINITION_INVALID',
    message: expect.stringMatching(new RegExp(words.join('.*'), 's')),
  })
}

describe('an option that does not exist is refused, with the nearest that does', () => {
  test.each([
    [
      'table',
      () => Reflect.apply(createTable, undefined, [deps, 't', { ...TEXTS, defualt: () => '' }]),
      'defualt',
      'default',
    ],
    [
      'global table',
      () => Reflect.apply(createGlobalTable, undefined, [deps, 't', { ...TEXTS, topik: 'x' }]),
      'topik',
      'topic',
    ],
    [
      'set table',
      () => Reflect.apply(createSetTable, undefined, [deps, 't', { ...TEXTS, partition: 3 }]),
      'partition',
      'partitions',
    ],
  ])('of a %s', (kind, make, wrong, meant) => {
    expect(make).toThrow(refused(`${kind} "t"`.slice(1), wrong, meant))
  })

  test('of one kind of table that another has', () => {
    const make = (): unknown =>
      Reflect.apply(createGlobalTable, undefined, [deps, 't', { ...TEXTS, partitioner: 'source' }])
    expect(make).toThrow(refused('lobal table "t"', 'partitioner'))
  })
})

test.each(['default', 'migrate', 'partitionBy'])('%s is refused at once when it is no function', (option) => {
  const make = (): unknown =>
    Reflect.apply(createTable, undefined, [deps, 't', { key: 'string', value: 'number', [option]: 0 }])
  expect(make).toThrow(refused(option, 'table "t" is 0', 'function'))
})

describe('rows of JSON', () => {
  class Money {
    readonly amount = 1
  }
  const odd: readonly (readonly [what: string, value: unknown])[] = [
    ['a Date', new Date(0)],
    ['a Map', new Map()],
    ['a Set', new Set()],
    ['NaN', NaN],
    ['the BigInt 1n', 1n],
    ['a Money', new Money()],
    ['undefined', [undefined]],
    ['bytes', Buffer.from('a')],
    ['a function', { toJSON: () => 1 }],
  ]

  async function inOneTask(run: (rows: { set(key: string, value: unknown): void; get(key: string): unknown }) => void) {
    const world = new TableWorld()
    const table = createTable(world.deps, 't', { key: 'string', value: json() })
    const worker = await world.start([table])
    world.inAgent(await worker.event(), () => run(table))
  }

  test.each(odd)(
    'that would not come back as they went in are refused, with table and key: %s',
    async (what, value) => {
      await inOneTask((table) => {
        for (const each of [value, { at: value }, [value]])
          expect(() => table.set('k', each)).toThrow(
            expect.objectContaining({
              code: 'ENCODE_FAILED',
              detail: expect.stringMatching(new RegExp(`^Key "k" of table "t".*JSON cannot hold ${what}`, 's')),
            }),
          )
        expect(table.get('k')).toBeUndefined()
      })
    },
  )

  test('that do come back are taken, also those of no prototype and with properties left undefined', async () => {
    await inOneTask((table) => {
      const value = {
        a: [1, null, 'x', { b: true }],
        gone: undefined,
        bare: Object.assign(Object.create(null), { c: 1 }),
      }
      table.set('k', value)
      expect(table.get('k')).toEqual(value)
    })
  })

  test('changed in place by update are refused, with table and key', async () => {
    const world = new TableWorld()
    const carts = createTable(world.deps, 'carts', { key: 'string', value: json<{ items: string[] }>() })
    const worker = await world.start([carts])
    world.inAgent(await worker.event(), () => {
      carts.set('ann', { items: ['a'] })
      expect(() =>
        carts.update('ann', (cart) => {
          if (cart !== undefined) Reflect.apply(Array.prototype.push, cart.items, ['b'])
          return cart ?? { items: [] }
        }),
      ).toThrow(
        expect.objectContaining({
          code: 'VALUE_FROZEN',
          detail: expect.stringContaining('key "ann" of table "carts"'),
        }),
      )
      expect(carts.get('ann')).toEqual({ items: ['a'] })
    })
  })
})
