const REPLACEMENT = '\uFFFD'
const LONGEST_BY_HAND = 12
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * Text to UTF-8 bytes. Short ASCII text, which most keys are, is written by hand: that takes half the time of a call
 * into the runtime. Throws on a lone surrogate, which UTF-8 cannot hold: it would come back as another text.
 */
export function encodeUtf8(text: string): Buffer {
  const length = text.length
  if (length <= LONGEST_BY_HAND) {
    const bytes = Buffer.allocUnsafe(length)
    let i = 0
    for (; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 127) break
      bytes[i] = code
    }
    if (i === length) return bytes
  }
  const bytes = Buffer.from(text, 'utf8')
  if (bytes.length !== length && LONE_SURROGATE.test(text))
    throw new TypeError('The text has half of a surrogate pair.')
  return bytes
}

/** UTF-8 bytes to text. Throws on bytes that are not UTF-8, rather than put replacement characters in their place. */
export function decodeUtf8(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  if (text.includes(REPLACEMENT) && !encodesTo(text, bytes)) throw new TypeError('The bytes are not UTF-8 text.')
  return text
}

function encodesTo(text: string, bytes: Buffer): boolean {
  return Buffer.from(text, 'utf8').equals(bytes)
}
