import { jsonText } from '@millrace/core'
import type { OutputStream, Terminal } from './terminal.ts'

/**
 * What is never written to a terminal as it is: control characters, which move the cursor, set the title or the clipboard,
 * and draw over what was said; characters that turn the direction of writing, for what is read must be what is there; and
 * what some take for the end of a line. Line feeds and tabs are text.
 */
// oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
const UNSHOWN = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/g
// oxlint-disable-next-line no-control-regex -- as above
const LINE_BREAKS = /[\t\n]/g
/**
 * The only sequences that commands write: of `CommandColors`, which can make nothing invisible. Text of others that has them
 * is at the worst red.
 */
// oxlint-disable-next-line no-control-regex -- as above
const COLORS = /(\u001B\[(?:1|2|22|31|32|33|34|36|39)m)/

const SHORT: Readonly<Record<string, string>> = Object.freeze({ '\n': '\\n', '\r': '\\r', '\t': '\\t' })

/** Text of any origin as it may be shown. In JSON it is the same JSON: there these characters are within strings. */
export function shownText(text: string): string {
  return text.replace(UNSHOWN, escaped)
}

/** A value on one line: text as it is, anything else as JSON, nothing for `undefined`. */
export function cellText(value: unknown): string {
  if (value === undefined) return ''
  return shownText(typeof value === 'string' ? value : jsonText(value)).replace(LINE_BREAKS, escaped)
}

function escaped(character: string): string {
  return SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** A terminal through which nothing comes that draws on it. */
export interface ShownTerminal extends Terminal {
  /** As it was given: for what a program reads back byte for byte, and for a progress bar. */
  readonly raw: Terminal
}

/**
 * Everything that commands write goes through here, whoever wrote it: records, errors, names, the answers of workers.
 *
 * @param hasColor whether the colors of a stream are let through
 */
export function shownTerminal(raw: Terminal, hasColor: (stream: OutputStream) => boolean): ShownTerminal {
  const shown = (stream: OutputStream): OutputStream => ({
    write: (text) => stream.write(hasColor(stream) ? text.split(COLORS).map(shownPart).join('') : shownText(text)),
    get isTTY() {
      return stream.isTTY === true
    },
    // Left out where it is not known.
    ...(stream.columns === undefined ? {} : { columns: stream.columns }),
  })
  return { ...raw, stdout: shown(raw.stdout), stderr: shown(raw.stderr), raw }
}

/** Between colors and colors, by turns. */
function shownPart(part: string, at: number): string {
  return at % 2 === 0 ? shownText(part) : part
}
