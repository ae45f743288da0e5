import type { Codec } from '../../contracts/codec.ts'
import { MillraceError } from '../errors/millrace-error.ts'
import { toError } from '../errors/to-error.ts'

/**
 * A key typed as text (on a path, a query, a command line) as its encoded bytes: text for `string` and `bytes`, a
 * decimal number for `number`, JSON for `json`. It is decoded and encoded again, so that `1.0` finds the key `1` and
 * `{"b":1,"a":2}` its canonical form.
 *
 * @param where what the key belongs to, for messages: `table "counts"`
 * @throws `KEY_INVALID`
 */
export function keyFromText<K>(codec: Codec<K>, text: string, where: string): Buffer {
  try {
    return codec.encode(codec.decode(Buffer.from(text, 'utf8')))
  } catch (thrown) {
    const error = toError(thrown)
    throw new MillraceError('KEY_INVALID', `${JSON.stringify(text)} is no ${codec.name} key of ${where}.`, {
      cause: error,
    })
  }
}
