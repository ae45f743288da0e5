import type { CommandColors } from '@millrace/core/operations'
import { placesIn } from './describe-failure.ts'
import { cellText } from './foreign-text.ts'

export interface PrettyOptions {
  readonly color: CommandColors
  /** Show whole stacks of errors instead of the place in the user's code. */
  readonly stacks: boolean
}

/** Fields that the line shows elsewhere or not at all. */
const APART: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'msg', 'err', 'error'])

/**
 * A JSON log line for a person: time of day, level, sentence, fields, and the error below. An error of Millrace
 * appears as code and detail unless the sentence already names it; an error of user code appears with its stack
 * frames.
 */
export function prettyLine(json: string, { color, stacks }: PrettyOptions): string {
  const line: Readonly<Record<string, unknown>> = JSON.parse(json)
  const message = cellText(line['msg'])
  const fields = Object.entries(line).filter(([name]) => !APART.has(name))
  const error = line['err'] ?? line['error']
  const head = [
    color.dim(timeOfDay(String(line['time']))),
    paintLevel(String(line['level']), color),
    message,
    ...fields.map(([name, value]) => color.dim(`${cellText(name)}=${fieldText(value)}`)),
  ].join(' ')
  return [head, ...errorLines(error, { message, stacks }).map((text) => color.dim(`  ${text}`))].join('\n')
}

/** In the reader's time zone. */
function timeOfDay(time: string): string {
  const at = new Date(time)
  const two = (number: number): string => String(number).padStart(2, '0')
  const ms = String(at.getMilliseconds()).padStart(3, '0')
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`
}

function paintLevel(level: string, color: CommandColors): string {
  const text = level.toUpperCase().padEnd(5)
  if (level === 'error') return color.red(text)
  if (level === 'warn') return color.yellow(text)
  return level === 'info' ? color.green(text) : color.dim(text)
}

function fieldText(value: unknown): string {
  if (Array.isArray(value)) return value.map((item) => cellText(item)).join(', ')
  const text = cellText(value)
  return /\s/.test(text) && typeof value === 'string' ? JSON.stringify(text) : text
}

function errorLines(
  error: unknown,
  { message, stacks }: { readonly message: string; readonly stacks: boolean },
): readonly string[] {
  if (error === undefined) return []
  if (typeof error !== 'object' || error === null) return [cellText(error)]
  const fields: Readonly<Record<string, unknown>> = { ...error }
  const [type, text, stack, code, detail] = ['type', 'message', 'stack', 'code', 'detail'].map((name) =>
    typeof fields[name] === 'string' ? fields[name] : '',
  )
  const isOurs = code !== '' && detail !== ''
  const sentence = isOurs ? `${code}: ${detail}` : `${type}: ${text}`
  const isSaid = message.includes((isOurs ? code : text) || sentence)
  const places = (stacks ? linesOf(stack ?? '').slice(1) : isOurs ? [] : placesIn(stack ?? '')).map((place) =>
    place.trim(),
  )
  const said = `${message} ${isSaid ? (isOurs ? detail : '') : sentence}`
  return [
    ...(isSaid ? [] : [cellText(sentence)]),
    ...places.map((place) => `  ${cellText(place)}`),
    ...causeLines(fields['cause'], { said, stacks }),
  ]
}

/** The cause, if it adds information. Its code alone is worth a line. */
function causeLines(
  cause: unknown,
  { said, stacks }: { readonly said: string; readonly stacks: boolean },
): readonly string[] {
  if (typeof cause !== 'object' || cause === null) return []
  const { code, detail, message }: { code?: unknown; detail?: unknown; message?: unknown } = { ...cause }
  const text = typeof detail === 'string' ? detail : String(message)
  if (!said.includes(text)) return errorLines(cause, { message: '', stacks }).map(asCause)
  return typeof code === 'string' && typeof detail === 'string' ? [`Caused by ${cellText(code)}.`] : []
}

function asCause(line: string, at: number): string {
  return at === 0 ? `Caused by ${line}` : line
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.trim() !== '')
}
