import { NO_HEADERS } from '@millrace/core'
import { expect, it } from 'vitest'
import { encodeHeaders, headerText } from './headers.ts'

it('gives headers as text: the last one of a name counts, and one without a value is empty', () => {
  const headers = [
    ['a', Buffer.from('first')],
    ['b', null],
    ['a', Buffer.from('läst')],
  ] as const
  expect(headerText(headers)).toEqual({ a: 'läst', b: '' })
})

it('encodes text and bytes, and only the visible bytes of a view', () => {
  const buffer = Buffer.from([1, 2, 3])
  const view = new Uint8Array([9, 8, 7, 6]).subarray(1, 3)
  const encoded = encodeHeaders({ text: 'ä', buffer, view })
  expect(encoded).toEqual([
    ['text', Buffer.from('ä', 'utf8')],
    ['buffer', buffer],
    ['view', Buffer.from([8, 7])],
  ])
  expect(encoded[1]?.[1]).toBe(buffer)
  expect(encodeHeaders(undefined)).toBe(NO_HEADERS)
})
