import { createApp, json } from '@millrace/app'
import { manualClock } from '@millrace/core'
import { expect, test } from 'vitest'

const clock = manualClock()
const rowsOf = (row: { readonly key: Buffer; readonly value: Buffer }) => ({
  get: (key: Buffer) => (key.equals(row.key) ? row.value : undefined),
})

test('a table reads the rows of a copy as its own, with its default', () => {
  const app = createApp({ id: 'shop' })
  const counts = app.table('counts', { key: 'number', value: json<{ n: number }>(), default: () => ({ n: 0 }) })
  const rows = rowsOf(counts.encodeRow(7, { n: 3 }))
  expect(counts.lookupCopy('7', rows, clock)).toEqual({ n: 3 })
  expect(counts.lookupCopy('8', rows, clock)).toEqual({ n: 0 })
  expect(() => counts.lookupCopy('seven', rows, clock)).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }))
  expect(() => counts.lookupCopy('7', { get: () => Buffer.from('{') }, clock)).toThrow(/ROW_UNDECODABLE/)
})

test('rows with a ttl are read with their value', () => {
  const app = createApp({ id: 'shop' })
  for (const by of ['wall', 'event'] as const) {
    const carts = app.table(`carts-${by}`, { key: 'string', value: 'string', ttl: '1h', clock: by })
    // Without a worker rows are encoded with no end.
    const { key, value } = carts.encodeRow('a', 'milk')
    expect(carts.lookupCopy('a', rowsOf({ key, value }), clock)).toBe('milk')
    const ended = Buffer.from(value)
    ended.writeDoubleBE(clock.now(), ended.length - 11)
    // A copy does not know how far event time has come.
    expect(carts.lookupCopy('a', rowsOf({ key, value: ended }), clock)).toBe(by === 'wall' ? undefined : 'milk')
  }
})
