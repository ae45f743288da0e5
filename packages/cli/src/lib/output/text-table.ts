import { jsonText, type CommandColors } from '@millrace/core'
import stringWidth from 'string-width'

type TableRow = Readonly<Record<string, unknown>>

/** Rows as aligned text under the names of their columns; numbers to the right, empty cells for what a row lacks. */
export function textTable(rows: readonly TableRow[], color: CommandColors): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].map((name) => {
    const cells = rows.map((row) => cellText(row[name]))
    const isNumeric = rows.every((row) => row[name] === undefined || typeof row[name] === 'number')
    return { name, cells, isNumeric, width: Math.max(...[name, ...cells].map((text) => stringWidth(text))) }
  })
  const line = (cellOf: (column: (typeof columns)[number]) => string): string =>
    columns
      .map((column) => pad(cellOf(column), column.width, column.isNumeric))
      .join('  ')
      .trimEnd()
  const head = color.bold(line(({ name }) => name))
  return [head, ...rows.map((_, at) => line(({ cells }) => cells[at] ?? ''))].join('\n')
}

/**
 * A value on one line: text as it is, anything else as JSON. Control characters are escaped, so that no value draws on the
 * terminal; so are those that turn the direction of writing, for what is read must be what is there.
 */
export function cellText(value: unknown): string {
  if (value === undefined) return ''
  const text = typeof value === 'string' ? value : jsonText(value)
  return text.replace(UNSHOWN, (character) => SHORT[character] ?? escaped(character))
}

// oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
const UNSHOWN = /[\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]/g

const SHORT: Readonly<Record<string, string>> = Object.freeze({ '\n': '\\n', '\r': '\\r', '\t': '\\t' })

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(Math.max(width - stringWidth(text), 0))
  return right ? space + text : text + space
}

/** A point in time; a number that is none stays one. */
export function timeText(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}
