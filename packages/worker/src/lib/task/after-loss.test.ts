import { expect, test } from 'vitest'
import { afterLoss } from './start-position.ts'

const at = { topic: 'orders', partition: 3 }
const atLeastOnce = { onOffsetLost: 'earliest', exactlyOnce: false } as const
const exactlyOnce = { onOffsetLost: 'earliest', exactlyOnce: true } as const
const deleted = { ...at, position: 120, beginning: 180, end: 200 }
const cutOff = { ...at, position: 120, beginning: 10, end: 100 }

test('deleted records: both guarantees continue with the remaining records and report how many are lost', () => {
  for (const rules of [atLeastOnce, exactlyOnce])
    expect(afterLoss(deleted, rules)).toEqual({
      offset: 180,
      again: false,
      message: `Topic "orders" partition 3 begins at offset 180: 60 records were deleted before being read, offsets 120 to 179. Reading goes on at 180 (onOffsetLost: 'earliest').`,
    })
  expect(afterLoss({ ...deleted, beginning: 121 }, atLeastOnce).message).toContain('1 record was deleted')
})

test('a truncated log: at least once starts from its beginning, exactly once stops', () => {
  expect(afterLoss(cutOff, atLeastOnce)).toMatchObject({ offset: 10, again: true })
  expect(() => afterLoss(cutOff, exactlyOnce)).toThrow(/OFFSET_OUT_OF_RANGE.*ends at offset 100.*exactly-once/)
})

test.each([deleted, cutOff])('otherwise the worker stops with the reason', (lost) => {
  for (const exactly of [true, false])
    expect(() => afterLoss(lost, { onOffsetLost: 'stop', exactlyOnce: exactly })).toThrow(
      /OFFSET_OUT_OF_RANGE.*"orders" partition 3.*120.*onOffsetLost: 'stop'/,
    )
})
