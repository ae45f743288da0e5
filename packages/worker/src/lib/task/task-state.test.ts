import type { Row } from '@millrace/core/driver'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { OffsetRange } from '../records/positions.ts'
import { ChangelogTail } from './task-state.ts'

/** A changelog, the store above it, and whatever else writes to the changelog. */
class World {
  readonly log: Row[] = []
  readonly store = new Map<string, Buffer>()
  readonly tail = new ChangelogTail(0)
  readonly stretches: OffsetRange[] = []
  readonly own = { get: (key: Buffer) => this.store.get(key.toString()) }

  /** Writes the rows of a commit. Stray records lie before those rows, or between them. */
  cut(changed: readonly Row[], stray: readonly Row[], fails: boolean): void {
    const rows = this.tail.rows(changed, this.own)
    this.log.push(...stray, ...rows)
    if (rows.length === 0 || fails) return
    for (const { key, value } of rows)
      if (value === null) this.store.delete(key.toString())
      else this.store.set(key.toString(), value)
    const stretch = this.tail.wrote(rows.length, this.log.length - 1)
    if (stretch !== undefined) this.stretches.push(stretch)
  }

  look(fails: boolean): number {
    return this.stretches.splice(0).reduce((found, stretch) => {
      if (!fails) return found + this.tail.compare(this.log.slice(stretch.from, stretch.to), this.own)
      this.tail.readAgain(stretch)
      return found
    }, 0)
  }

  /** The rows that a recovery would give. */
  recovered(): ReadonlyMap<string, Buffer> {
    const rows = new Map<string, Buffer>()
    for (const { key, value } of this.log)
      if (value === null) rows.delete(key.toString())
      else rows.set(key.toString(), value)
    return rows
  }
}

function row(key: string, value: string | null): Row {
  return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
}

test('consecutive rows leave no range to search', () => {
  const world = new World()
  for (const value of ['1', '2', '3']) world.cut([row('a', value), row('b', value)], [], false)
  expect(world.stretches).toEqual([])
})

test('a row that a late one has overwritten is written again, unless both have the same value', () => {
  const world = new World()
  world.cut([row('a', '2'), row('b', '2'), row('gone', null)], [], false)
  world.cut([row('c', '1')], [row('a', '1'), row('b', '2'), row('gone', '7')], false)
  expect(world.look(false)).toBe(2)
  world.cut([], [], false)
  expect(world.log.slice(-2)).toEqual([row('a', '2'), row('gone', null)])
  expect(world.look(false)).toBe(0)
  expect(world.recovered()).toEqual(world.store)
})

test('whatever arrives late, the changelog equals the store again after a search', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  const rows = fc.array(fc.record({ key, value: fc.option(fc.constantFrom('1', '2', '3')) }), { maxLength: 5 })
  const step = fc.record({ rows, stray: rows, cutFails: fc.boolean(), looks: fc.boolean(), lookFails: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const world = new World()
      const latest = new Map<string, Buffer>()
      for (const { rows: changed, stray, cutFails, looks, lookFails } of steps) {
        world.cut(toRows(changed), toRows(stray), cutFails)
        if (!cutFails)
          for (const { key: name, value } of toRows(changed))
            if (value === null) latest.delete(name.toString())
            else latest.set(name.toString(), value)
        if (looks) world.look(lookFails)
      }
      // The next row finds it, and the cut after that mends it.
      world.cut([row('last', '1')], [], false)
      world.look(false)
      world.cut([], [], false)
      expect(world.recovered()).toEqual(world.store)
      expect(world.store).toEqual(latest.set('last', Buffer.from('1')))
    }),
  )
})

/** A cut has each key once. */
function toRows(list: readonly { readonly key: string; readonly value: string | null }[]): readonly Row[] {
  return [...new Map(list.map(({ key, value }) => [key, row(key, value)])).values()]
}

test('a key that is found while a cut is under way is written again by the next cut', () => {
  const store = new Map([
    ['a', Buffer.from('1')],
    ['b', Buffer.from('1')],
  ])
  const own = { get: (key: Buffer) => store.get(key.toString()) }
  const tail = new ChangelogTail(0)
  expect(tail.compare([row('a', 'old')], own)).toBe(1)
  expect(tail.rows([], own)).toEqual([row('a', '1')])
  expect(tail.compare([row('b', 'old')], own)).toBe(1)
  tail.wrote(1, 0)
  expect(tail.rows([], own)).toEqual([row('b', '1')])
})

test("a key that a commit changes anyway is in it once, with the commit's value, which the store does not have yet", () => {
  const world = new World()
  world.cut([row('a', '1'), row('b', '1')], [], false)
  world.cut([row('c', '1')], [row('a', 'old'), row('b', 'old')], false)
  expect(world.look(false)).toBe(2)
  expect(world.tail.rows([row('a', '2')], world.own)).toEqual([row('a', '2'), row('b', '1')])
})
