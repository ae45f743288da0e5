import { MillraceError, toError } from '@millrace/core'
import { CronExpressionParser, type CronFieldCollection } from 'cron-parser'
import type { CronFields, DaysOfMonth, DaysOfWeek } from './cron-fields.ts'

const ALL_HOURS = 24

/**
 * Parses 5 fields, 6 with seconds first, or a nickname such as `@daily`. `H` stands for a number derived from the job's
 * name, so that daily jobs do not all run at midnight.
 *
 * @param job for messages: `cron job "daily"`
 * @throws `CRON_INVALID`
 */
export function parseCron(expression: string, job: string): CronFields {
  const text = expression.trim()
  const words = text.split(/\s+/)
  if (!text.startsWith('@') && words.length !== 5 && words.length !== 6)
    throw invalid(expression, job, `it has ${text === '' ? 'no' : words.length} fields, and needs 5, or 6 with seconds`)
  let fields: CronFieldCollection
  try {
    fields = CronExpressionParser.parse(text, { hashSeed: job }).fields
  } catch (thrown) {
    throw invalid(expression, job, toError(thrown).message, toError(thrown))
  }
  const hourText = words.length === 6 ? words[2] : words[1]
  const hours = numbers(fields.hour.values)
  return {
    seconds: numbers(fields.second.values),
    minutes: numbers(fields.minute.values),
    hours,
    openHour: hours.length === ALL_HOURS || hourText?.startsWith('*') === true,
    months: numbers(fields.month.values),
    days: fields.dayOfMonth.isWildcard ? undefined : daysOfMonth(fields.dayOfMonth.values),
    weekdays: fields.dayOfWeek.isWildcard ? undefined : daysOfWeek(fields.dayOfWeek.values, fields.dayOfWeek.nthDay),
  }
}

export function invalid(expression: string, job: string, why: string, cause?: Error): MillraceError {
  const options = cause === undefined ? {} : { cause }
  return new MillraceError(
    'CRON_INVALID',
    `The expression ${JSON.stringify(expression)} of ${job} cannot be used: ${why}.`,
    options,
  )
}

function daysOfMonth(values: readonly (number | string)[]): DaysOfMonth {
  return { days: numbers(values), last: values.includes('L') }
}

function daysOfWeek(values: readonly (number | string)[], nth: number): DaysOfWeek {
  const last = values.flatMap((value) =>
    typeof value === 'string' && value.endsWith('L') ? [Number.parseInt(value, 10) % 7] : [],
  )
  return { days: [...new Set(numbers(values).map((day) => day % 7))].toSorted((a, b) => a - b), last, nth }
}

/** The list of values also contains marks such as `L`. */
function numbers(values: readonly (number | string)[]): readonly number[] {
  return values.filter((value) => typeof value === 'number').toSorted((a, b) => a - b)
}
