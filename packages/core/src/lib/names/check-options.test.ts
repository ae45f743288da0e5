import { expect, test } from 'vitest'
import { checkOptions, type OptionNames } from './check-options.ts'

interface JobOptions {
  readonly onLeader?: boolean
  readonly timezone?: string
}

const KNOWN: OptionNames<JobOptions> = { onLeader: true, timezone: true }

const refused = (options: unknown): (() => void) => {
  return () => checkOptions('cron job "daily"', options, KNOWN)
}

test('known options are accepted, also with the value undefined', () => {
  expect(refused({})).not.toThrow()
  expect(refused({ onLeader: undefined, timezone: 'UTC' })).not.toThrow()
})

test.each([
  [{ onLeadr: true }, 'Cron job "daily" has no option onLeadr. Did you mean onLeader?'],
  [{ timeZone: 'UTC' }, 'Cron job "daily" has no option timeZone. Did you mean timezone?'],
  [{ tz: 'Europe/Berlin' }, 'Cron job "daily" has no option tz. Did you mean timezone?'],
  [{ colour: 'red' }, 'Cron job "daily" has no option colour. There are onLeader, timezone.'],
  [{ toString: 1 }, 'Cron job "daily" has no option toString. There are onLeader, timezone.'],
  ['UTC', 'The options of cron job "daily" are "UTC"; they take an object.'],
  [null, 'The options of cron job "daily" are null; they take an object.'],
  [[], 'The options of cron job "daily" are a list; they take an object.'],
  [() => {}, 'The options of cron job "daily" are a function; they take an object.'],
])('%j is refused', (options, detail) => {
  expect(refused(options)).toThrow(expect.objectContaining({ code: 'DEFINITION_INVALID', detail }))
})
