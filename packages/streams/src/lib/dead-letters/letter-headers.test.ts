import { MillraceError, redactText, type RawHeaders, type RawRecord } from '@millrace/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  describeError,
  type LetterFacts,
  readLetterHeaders,
  TEXT_LIMITS,
  writeLetterHeaders,
} from './letter-headers.ts'
import { letterRecord } from './letter-record.ts'

const limits = TEXT_LIMITS[0] ?? { message: 0, stack: 0 }
const offset = fc.maxSafeNat()
const text = fc.string({ unit: 'binary', maxLength: 50 })
const facts: fc.Arbitrary<LetterFacts> = fc.record({
  agent: text,
  topic: fc.string({ minLength: 1 }),
  partition: fc.nat(),
  offset,
  timestamp: offset,
  id: text,
  attempts: fc.nat(),
  failedAt: offset,
  code: text,
  class: text,
  message: text,
  stack: text,
  firstFailedAt: text,
  firstCode: text,
  firstClass: text,
  firstMessage: text,
  trimmed: text,
  due: text,
})
const headerName = fc.oneof(fc.string(), fc.constantFrom('millrace-agent', 'millrace-topic', 'millrace-error-stack'))
const headerValue: fc.Arbitrary<Buffer | null> = fc.option(fc.uint8Array().map((bytes) => Buffer.from(bytes)))
const headers: fc.Arbitrary<RawHeaders> = fc.array(fc.tuple(headerName, headerValue))

describe('headers of a dead letter', () => {
  it("are read as they were written, and the record's own headers are restored, whatever their names", () => {
    fc.assert(
      fc.property(headers, facts, (own, written) => {
        expect(readLetterHeaders(writeLetterHeaders(own, written, limits))).toEqual({ facts: written, own })
      }),
    )
  })

  it('keep long texts short, and never cut a character in two', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 300, maxLength: 400 }), (message) => {
        for (const [name, value] of writeLetterHeaders(
          [],
          { ...FACTS, message, stack: message },
          { message: 200, stack: 0 },
        )) {
          const read = value?.toString('utf8') ?? ''
          if (name === 'millrace-error-stack') expect(read).toBe('')
          if (name !== 'millrace-error-message') continue
          expect(read.length).toBeGreaterThanOrEqual(199)
          expect(message.startsWith(read)).toBe(true)
        }
      }),
    )
  })

  it('are undefined if a record has no such headers, or broken ones', () => {
    expect(readLetterHeaders([['a', Buffer.from('b')]])).toBeUndefined()
    const broken = writeLetterHeaders([], FACTS, limits).map(
      ([name, value]) => [name, name === 'millrace-offset' ? Buffer.from('x') : value] as const,
    )
    expect(readLetterHeaders(broken)).toBeUndefined()
  })
})

describe('letters of other versions', () => {
  const text = (value: string): Buffer => Buffer.from(value)
  /** Dead letters from versions that wrote no format number. */
  const first: RawHeaders = [
    ['mine', text('x')],
    ['millrace-agent', text('count')],
    ['millrace-topic', text('words')],
    ['millrace-partition', text('1')],
    ['millrace-offset', text('7')],
    ['millrace-timestamp', text('1764284400000')],
    ['millrace-attempts', text('3')],
    ['millrace-failed-at', text('1764284400001')],
    ['millrace-error-code', text('E')],
    ['millrace-error-class', text('TypeError')],
    ['millrace-error-message', text('no')],
    ['millrace-error-stack', text('at line 1')],
  ]
  const record = (headers: RawHeaders): RawRecord => ({ offset: 4, timestamp: 0, key: null, value: null, headers })

  it.each([[[]], [[['millrace-letter-format', text('1')]]], [[['millrace-later', text('?')]]]] as const)(
    'are read, with further headers %j',
    (further) => {
      const { summary, own } = letterRecord(0, record([...first, ...further]), false)
      expect(own).toEqual([['mine', text('x')]])
      expect(summary).toMatchObject({
        source: { topic: 'words', partition: 1, offset: 7, timestamp: 1764284400000 },
        failure: { code: 'E', class: 'TypeError', message: 'no', attempts: 3 },
        failedAt: 1764284400001,
      })
    },
  )

  it('of a later format give an error, and no source', () => {
    const { summary } = letterRecord(0, record([...first, ['millrace-letter-format', text('2')]]), false)
    expect(summary.source).toBeUndefined()
    expect(summary.failure).toMatchObject({
      code: 'FORMAT_NEWER',
      message: 'This letter has format 2, and this version reads format 1.',
    })
  })
})

describe('an error', () => {
  class OutOfStock extends Error {}

  it.each([
    [new TypeError('no'), { class: 'TypeError', code: '', message: 'no' }],
    [new OutOfStock('none left'), { class: 'OutOfStock', code: '', message: 'none left' }],
    [Object.assign(new Error('gone'), { code: 'ECONNRESET' }), { class: 'Error', code: 'ECONNRESET', message: 'gone' }],
    [
      new MillraceError('DECODE_FAILED', 'No JSON.'),
      { class: 'MillraceError', code: 'DECODE_FAILED', message: 'No JSON.' },
    ],
  ])('%s', (error, expected) => {
    expect(describeError(error, redactText)).toMatchObject(expected)
  })

  it('comes with the stacks of its causes', () => {
    expect(describeError(new Error('outer', { cause: new Error('inner') }), redactText).stack).toMatch(
      /outer[^]*Caused by: Error: inner/,
    )
  })
})

const FACTS: LetterFacts = {
  agent: 'a',
  topic: 't',
  partition: 0,
  offset: 1,
  timestamp: 2,
  id: 't/0@1',
  attempts: 3,
  failedAt: 4,
  code: '',
  class: 'Error',
  message: '',
  stack: '',
  firstFailedAt: '',
  firstCode: '',
  firstClass: '',
  firstMessage: '',
  trimmed: '',
  due: '',
}
