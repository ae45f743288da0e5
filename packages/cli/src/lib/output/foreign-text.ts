import { jsonText } from '@millrace/core'
import type { OutputStream, Terminal } from './terminal.ts'

/**
 * Characters that never reach a terminal as they are: control characters, which move the cursor, set the title or the
 * clipboard, and overwrite output; bidirectional controls, so that output cannot be spoofed; and characters that some
 * programs take for a line end. Line feeds and tabs are text.
 */
// oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
const UNSHOWN = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/g
// oxlint-disable-next-line no-control-regex -- as above
const LINE_BREAKS = /[\t\n]/g
/**
 * The only sequences that commands write: those of `CommandColors`, which can hide nothing. Foreign text with these
 * sequences is at worst red.
 */
// oxlint-disable-next-line no-control-regex -- as above
const COLORS = /(\u001B\[(?:1|2|22|31|32|33|34|36|39)m)/

const SHORT: Readonly<Record<string, string>> = Object.freeze({ '\n': '\\n', '\r': '\\r', '\t': '\\t' })

/** Foreign text made safe to show. JSON stays the same JSON, because these characters occur only inside its strings. */
export function shownText(text: string): string {
  return text.replace(UNSHOWN, escaped)
}

/** A value on one line: text unchanged, other values as JSON, nothing for `undefined`. */
export function cellText(value: unknown): string {
  if (value === undefined) return ''
  return shownText(typeof value === 'string' ? value : jsonText(value)).replace(LINE_BREAKS, escaped)
}

function escaped(character: string): string {
  return SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** A terminal with outputs that escape control characters. */
export interface ShownTerminal extends Terminal {
  /** The raw stream, for output that a program reads back byte for byte, and for a progress bar. */
  readonly raw: Terminal
}

/**
 * All output of commands passes through here, whatever its source: records, errors, names, answers of workers.
 *
 * @param hasColor whether a stream keeps colors
 */
export function shownTerminal(raw: Terminal, hasColor: (stream: OutputStream) => boolean): ShownTerminal {
  const shown = (stream: OutputStream): OutputStream => ({
    write: (text) => stream.write(hasColor(stream) ? text.split(COLORS).map(shownPart).join('') : shownText(text)),
    get isTTY() {
      return stream.isTTY === true
    },
    // Left out if it is unknown.
    ...(stream.columns === undefined ? {} : { columns: stream.columns }),
  })
  return { ...raw, stdout: shown(raw.stdout), stderr: shown(raw.stderr), raw }
}

/** Alternates between text and color sequences. */
function shownPart(part: string, at: number): string {
  return at % 2 === 0 ? shownText(part) : part
}
