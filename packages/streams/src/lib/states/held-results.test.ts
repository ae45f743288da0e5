import { resolveCodec } from '@millrace/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { heldResults, withResults } from './held-results.ts'

const codec = heldResults(resolveCodec('json', 'row', 'a test'), 'a test')
const results = fc.array(fc.record({ window: fc.record({ start: fc.nat(), end: fc.nat() }), value: fc.string() }), {
  maxLength: 5,
})

describe('heldResults', () => {
  it('reads what it has written', () => {
    fc.assert(
      fc.property(results, (held) => {
        expect(codec.decode(codec.encode(held))).toEqual(held)
      }),
    )
  })

  it('reads the rows of version 1', () => {
    const bytes = Buffer.from('010000000000000000404e0000000000000000000137', 'hex')
    expect(codec.decode(bytes)).toEqual([{ window: { start: 0, end: 60 }, value: 7 }])
  })

  it.each(['', '02', '0100', '010000000000000000404e0000000000000000000237'])(
    'refuses rows that are cut short or of another version: %s',
    (hex) => {
      expect(() => codec.decode(Buffer.from(hex, 'hex'))).toThrow(/ROW_UNDECODABLE.*a test/s)
    },
  )
})

describe('withResults', () => {
  const result = (start: number, end: number, value: string) => ({ window: { start, end }, value })

  it('replaces the result of a window, and keeps those of overlapping ones', () => {
    const held = [result(0, 20, 'a'), result(10, 30, 'a')]
    expect(withResults(held, [result(10, 30, 'b'), result(20, 40, 'b')])).toEqual([
      result(0, 20, 'a'),
      result(10, 30, 'b'),
      result(20, 40, 'b'),
    ])
  })

  it('replaces the sessions that an event has joined', () => {
    const held = [result(1, 1, 'a'), result(15, 16, 'b'), result(40, 40, 'c')]
    expect(withResults(held, [result(1, 16, 'abd')])).toEqual([result(1, 16, 'abd'), result(40, 40, 'c')])
  })
})
