import type { CommandColors } from '@millrace/core/operations'
import stringWidth from 'string-width'
import { cellText } from './foreign-text.ts'

type TableRow = Readonly<Record<string, unknown>>

/** Rows as aligned text under column names. Numbers align right; missing values leave empty cells. */
export function textTable(rows: readonly TableRow[], color: CommandColors): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].map((column) => {
    const name = cellText(column)
    const cells = rows.map((row) => cellText(row[column]))
    const isNumeric = rows.every((row) => row[column] === undefined || typeof row[column] === 'number')
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

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(Math.max(width - stringWidth(text), 0))
  return right ? space + text : text + space
}

/** A point in time as ISO 8601, or the number itself if it is not a valid time. */
export function timeText(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}
