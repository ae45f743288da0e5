import type { Codec } from '../../contracts/codec.ts'
import type { ShownBytes } from '../../operations/dead-letters.ts'
import { jsonText } from './json-text.ts'
import { decodeUtf8 } from './plain-codecs.ts'

/** Bytes through the codec they should be of; as text or base64 where that fails, and where what comes of it has no JSON. */
export function showBytes(
  bytes: Buffer | null,
  codec: Pick<Codec<never, unknown>, 'name' | 'decode'> | undefined,
): ShownBytes {
  if (bytes === null) return { as: 'none', value: null }
  if (codec !== undefined) {
    const decoded = attempt(() => {
      const value = codec.decode(bytes)
      // What has no JSON, as a ring, or a value that a codec of the app nests too deep, could not be shown.
      jsonText(value)
      return value
    })
    if (decoded !== undefined) return { as: codec.name, value: decoded.value }
  }
  const text = attempt(() => decodeUtf8(bytes))
  return text === undefined ? { as: 'base64', value: bytes.toString('base64') } : { as: 'text', value: text.value }
}

function attempt(decode: () => unknown): { readonly value: unknown } | undefined {
  try {
    return { value: decode() }
  } catch {
    // What cannot be decoded is what dead letters are about: it is shown in another way.
    return undefined
  }
}
