import type { KeyShape } from '../keys/key-shape.ts'
import type { RowShape } from '../keyed/row-shape.ts'
import { setPrefixLength, type SetMember } from './set-key-shape.ts'

/** The value of every row. */
export const PRESENT: Buffer = Buffer.from([1])

/** A row of a set says all in its key; the value only keeps it from being a tombstone. */
export function setRowShape<K, E>(keys: KeyShape<SetMember<K, E>>): RowShape<true> {
  return {
    where: keys.where,
    identify: (key) => keys.identify(key),
    show: (key) => keys.show(key),
    groupOf: setGroup,
    admit: () => PRESENT,
    encode: () => PRESENT,
    decode: () => true,
  }
}

/** The group of a row key: all elements of its key. */
export function setGroup(bytes: Buffer): string {
  return bytes.toString('latin1', 0, setPrefixLength(bytes))
}
