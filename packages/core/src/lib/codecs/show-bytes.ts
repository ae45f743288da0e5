import type { Codec } from '../../contracts/codec.ts'
import type { ShownBytes } from '../../operations/dead-letters.ts'
import { jsonText } from './json-text.ts'
import { decodeUtf8 } from './plain-codecs.ts'

/** Shows bytes through their codec; as text or base64 if that fails, or if the decoded value has no JSON. */
export function showBytes(
  bytes: Buffer | null,
  codec: Pick<Codec<never, unknown>, 'name' | 'decode'> | undefined,
): ShownBytes {
  if (bytes === null) return { as: 'none', value: null }
  if (codec !== undefined) {
    const decoded = attempt(() => {
      const value = codec.decode(bytes)
      // A circular value, or one that a codec of the app nests too deep, has no JSON.
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
    // Dead letters often have bytes that cannot be decoded: they are shown in another way.
    return undefined
  }
}
