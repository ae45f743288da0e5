import { json, type Immutable } from '@millrace/core'
import { describe, expectTypeOf, test } from 'vitest'
import { createGlobalTable, type AnyGlobalTable } from './global-table.ts'
import { createSetTable } from './set-table.ts'
import { TableWorld } from './fixtures/table-world.fixture.ts'
import { createTable } from './create-table.ts'
import { type AnyTable } from './table.ts'
import type { InputDiffersFromOutput, RoundTrip } from './options.ts'

interface Order {
  id: string
  total: number
  lines: { word: string; at: Date }[]
  seen: Map<string, { n: number }>
}

/** What Standard Schema says of a validator. */
interface Schema<In, Out> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (
      value: unknown,
    ) => { readonly value: Out } | { readonly issues: readonly { readonly message: string }[] }
    readonly types?: { readonly input: In; readonly output: Out }
  }
}

/** A schema by its types alone. */
function schema<In, Out = In>(): Schema<In, Out> {
  return {
    '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: 'Only types count here.' }] }) },
  }
}

describe('types', () => {
  const { deps } = new TableWorld()

  test('get is V with a default, else V or undefined', () => {
    const counts = createTable(deps, 'a', { key: 'string', value: 'number', default: () => 0 })
    expectTypeOf(counts.get).returns.toEqualTypeOf<number>()
    expectTypeOf(counts.update).parameter(1).toEqualTypeOf<(value: number) => number>()
    const last = createTable(deps, 'b', { key: 'number', value: 'string' })
    expectTypeOf(last.get).returns.toEqualTypeOf<string | undefined>()
    expectTypeOf(last.get).parameter(0).toEqualTypeOf<number>()
    expectTypeOf(last.update).parameter(1).toEqualTypeOf<(value: string | undefined) => string>()
    expectTypeOf(last.entries).returns.toExtend<AsyncIterable<readonly [number, string]>>()
    const global = createGlobalTable(deps, 'c', { key: 'string', value: 'number', default: () => 0 })
    expectTypeOf(global.get).returns.toEqualTypeOf<number>()
    // @ts-expect-error: the default is no number
    createTable(deps, 'd', { key: 'string', value: 'number', default: () => 'none' })
    // @ts-expect-error: neither is what is set
    void (() => counts.set('a', 'one'))
  })

  test('what is given out is readonly to its depth, and can be given back', () => {
    const orders = createTable(deps, 'orders', {
      key: 'string',
      value: json<Order>(),
      default: () => ({ id: '', total: 0, lines: [], seen: new Map() }),
    })
    const use = (): void => {
      // @ts-expect-error: readonly
      orders.get('a').total = 1
      // @ts-expect-error: readonly
      orders.get('a').lines.push({ word: '', at: new Date() })
      // @ts-expect-error: readonly
      orders.get('a').seen.set('a', { n: 1 })
      orders.update('a', (order) => ({ ...order, total: order.total + 1 }))
      orders.set('a', orders.get('b'))
    }
    expectTypeOf(use).toBeFunction()
    expectTypeOf<Immutable<Order>['lines'][number]['at']>().toEqualTypeOf<Date>()
    expectTypeOf<Immutable<[string, { n: number }]>>().toEqualTypeOf<readonly [string, { readonly n: number }]>()
    expectTypeOf<Immutable<unknown>>().toEqualTypeOf<unknown>()
    expectTypeOf<Immutable<Uint8Array>>().toEqualTypeOf<Uint8Array>()
    expectTypeOf<Immutable<'a' | 1 | undefined>>().toEqualTypeOf<'a' | 1 | undefined>()
  })

  test('a schema that changes what it validates is refused', () => {
    createTable(deps, 'same', { key: 'string', value: schema<{ a: string }>() })
    // @ts-expect-error: input and output differ
    createTable(deps, 'differs', { key: 'string', value: schema<{ a: string }, { a: number }>() })
    // @ts-expect-error: input may lack what the output has
    createTable(deps, 'optional', { key: 'string', value: json(schema<{ a?: string }, { a: string }>()) })
    // What the compiler prints says how rows are read that lack a new field.
    expectTypeOf<RoundTrip<Schema<{ a?: string }, { a: string }>>>().toEqualTypeOf<InputDiffersFromOutput>()
    expectTypeOf<keyof InputDiffersFromOutput>().toExtend<`${string}.default()${string}option migrate${string}`>()
    createTable(deps, 'gained', {
      key: 'string',
      value: schema<{ a: string }>(),
      migrate: (raw, key) => ({ a: key + raw.toString('utf8') }),
    })
    // @ts-expect-error: nor may a key change
    createTable(deps, 'keys', { key: schema<string, number>(), value: 'number' })
    // @ts-expect-error: nor an element
    createSetTable(deps, 'elements', { key: 'string', value: schema<string, number>() })
  })

  test('tables of any type', () => {
    const orders = createTable(deps, 'orders', { key: schema<{ id: number }>(), value: json<Order>() })
    const bytes = createTable(deps, 'bytes', { key: 'bytes', value: 'bytes', default: () => Buffer.alloc(0) })
    const set = createSetTable(deps, 'set', { key: 'number', value: json<{ word: string }>() })
    expectTypeOf([orders, bytes, set]).toExtend<AnyTable[]>()
    expectTypeOf(orders.get).parameter(0).toEqualTypeOf<{ id: number }>()
    expectTypeOf(set.add).parameters.toEqualTypeOf<[number, { readonly word: string }]>()
    expectTypeOf(set.values).returns.toEqualTypeOf<readonly { readonly word: string }[]>()
    const everywhere = createSetTable(deps, 'everywhere', { key: 'string', value: 'string', global: true })
    const global = createGlobalTable(deps, 'global', { key: 'string', value: json<Order>() })
    expectTypeOf([everywhere, global]).toExtend<AnyGlobalTable[]>()
  })
})
