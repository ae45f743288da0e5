import { type Codec, MillraceError, resolveCodec } from '@millrace/core'
import type { KeyShape, RowShape, StateShape } from '@millrace/state'
import type { KeyedDefinition } from '../options.ts'
import { setShape, type SetMember } from '../set-shape.ts'

/** A stored timer. */
export interface PendingTimer<V> {
  /** When it is due, in milliseconds since the epoch. */
  readonly at: number
  readonly value: V
}

/** A key's timer by its name; without a name, all timers of the key. */
export type TimerKey<K> = SetMember<K, string>

const TIME_BYTES = 8

/** Row keys as of a set whose elements are the names; values begin with the time. */
export function timerShape<K, V>(
  definition: KeyedDefinition<K, V>,
): StateShape<TimerKey<K>, PendingTimer<V>> & { readonly keys: KeyShape<TimerKey<K>> } {
  const { keys, rows } = setShape<K, string>({
    ...definition,
    valueCodec: resolveCodec('string', 'key', `the names of ${definition.where}`),
  })
  return { keys, rows: timerRows(rows, definition.valueCodec) }
}

function timerRows<V>(members: RowShape<true>, codec: Codec<V>): RowShape<PendingTimer<V>> {
  const encode = ({ at, value }: PendingTimer<V>): Buffer => {
    const time = Buffer.allocUnsafe(TIME_BYTES)
    time.writeDoubleBE(at)
    return Buffer.concat([time, codec.encode(value)])
  }
  return {
    ...members,
    admit: encode,
    encode,
    decode: (bytes, key) => {
      try {
        return { at: bytes.readDoubleBE(0), value: codec.decode(bytes.subarray(TIME_BYTES)) }
      } catch (error) {
        throw new MillraceError(
          'ROW_UNDECODABLE',
          `The timer of key ${members.show(key)} of ${members.where} cannot be read.`,
          { cause: error },
        )
      }
    },
  }
}
