/**
 * How deep arrays and objects of a JSON value may be nested. Code that walks through values (`JSON.stringify`, schemas,
 * handlers) recurses for each level, so a depth of tens of thousands would overflow the stack.
 */
export const DEEPEST = 500

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** `{` is `[` with this bit, and so are their ends. */
const BIT = 0x20
const OPENING = 0x7b
const CLOSING = 0x7d

/** Whether JSON text is nested deeper than `DEEPEST`; for other text, whether a JSON reader could get that deep. */
export function isTooDeep(text: string): boolean {
  // True of nearly all values: too short, or too few brackets, counting those in its texts.
  if (text.length <= 2 * DEEPEST || !hasManyBrackets(text)) return false
  let depth = 0
  let isInText = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (isInText) {
      if (code === BACKSLASH) at++
      else if (code === QUOTE) isInText = false
    } else if (code === QUOTE) isInText = true
    else if ((code | BIT) === OPENING) {
      if (++depth > DEEPEST) return true
    } else if ((code | BIT) === CLOSING) depth--
  }
  return false
}

function hasManyBrackets(text: string): boolean {
  let count = 0
  for (const bracket of ['{', '['])
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) if (++count > DEEPEST) return true
  return false
}
