import fc from 'fast-check'
import type { Checkpoint, Row } from '@millrace/core/driver'

/** How many partitions of one table the model works on. */
export const MODEL_PARTITIONS = 3

export interface ModelChange {
  readonly partition: number
  readonly rows: readonly Row[]
  readonly checkpoint: Checkpoint | undefined
}

/** A step of the model; a step on a closed partition opens it first. */
export type StoreOperation =
  | { readonly type: 'commit'; readonly changes: readonly ModelChange[] }
  | { readonly type: 'clear' | 'close'; readonly partition: number }
  | {
      readonly type: 'range'
      readonly partition: number
      readonly from: Buffer | undefined
      readonly to: Buffer | undefined
      readonly limit: number
    }
  | { readonly type: 'reopen' }

/** Sequences of steps, with few keys, so that they repeat, and with bytes that encodings often get wrong. */
export function storeOperations(): fc.Arbitrary<readonly StoreOperation[]> {
  const byte = fc.constantFrom(0, 1, 127, 128, 254, 255)
  const key = fc.array(byte, { maxLength: 3 }).map((bytes) => Buffer.from(bytes))
  const value = fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 3, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
  )
  const partition = fc.nat({ max: MODEL_PARTITIONS - 1 })
  const checkpoint = fc.record({
    topicId: fc.constantFrom('', 'id', 'ïd'),
    offset: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    wallTimeMs: fc.nat({ max: 2_000_000_000_000 }),
  })
  const rows = fc.array(fc.record({ key, value }), { maxLength: 12 })
  const change = fc.record({ partition, rows, checkpoint: fc.option(checkpoint, { nil: undefined }) })
  const optionalKey = fc.option(key, { nil: undefined })
  return fc.array(
    fc.oneof<fc.WeightedArbitrary<StoreOperation>[]>(
      {
        weight: 6,
        arbitrary: fc.record({
          type: fc.constant('commit'),
          changes: fc.uniqueArray(change, { maxLength: MODEL_PARTITIONS, selector: (one) => one.partition }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('clear', 'close'), partition }) },
      {
        weight: 2,
        arbitrary: fc.record({
          type: fc.constant('range'),
          partition,
          from: optionalKey,
          to: optionalKey,
          limit: fc.nat({ max: 5 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('reopen') }) },
    ),
    { maxLength: 30 },
  )
}
