import { expect, test } from 'vitest'
import { schedulerPart } from '../scheduler-part.ts'
import { AsyncLocalStorage } from 'node:async_hooks'
import { createCrontab, createTask, createTimer } from './create-jobs.ts'

async function daily(): Promise<void> {}

function error(define: () => unknown): { readonly code: string; readonly message: string } {
  try {
    define()
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown) return { code: String(thrown.code), message: thrown.message }
  }
  throw new Error('Nothing was thrown.')
}

test('a job takes the name of its function, or the name option', () => {
  expect(createTask({}, daily).name).toBe('daily')
  expect(createTimer('10s', { name: 'other' }, daily)).toMatchObject({
    kind: 'timer',
    name: 'other',
    everyMs: 10_000,
    overlap: 'skip',
  })
  expect(error(() => createTask({}, () => {}))).toMatchObject({
    code: 'NAME_INVALID',
    message: expect.stringContaining('A task has no name'),
  })
  expect(error(() => createTask({ name: 'a/b' }, daily)).code).toBe('NAME_INVALID')
})

test.each([
  ['0 20 * *', '4 fields'],
  ['', 'no fields'],
  ['* * * * * * *', '7 fields'],
  ['61 * * * *', '61'],
  ['@fortnightly', 'fortnightly'],
  ['0 0 31 2 *', ''],
  ['0 0 30 2 *', ''],
  ['0 0 31 4,6,9,11 *', ''],
])('refuses the expression %j and names the job', (expression, detail) => {
  const refused = error(() => createCrontab(expression, {}, daily))
  expect(refused.code).toBe('CRON_INVALID')
  expect(refused.message).toContain('cron job "daily"')
  expect(refused.message).toContain(detail)
})

test('refuses unknown options and suggests the nearest one', () => {
  const given = (create: (...given: never) => unknown, ...args: readonly unknown[]): (() => unknown) => {
    return () => Reflect.apply(create, undefined, args)
  }
  expect(error(given(createCrontab, '@daily', { tz: 'Europe/Berlin' }, daily)).message).toBe(
    'DEFINITION_INVALID: Cron job "daily" has no option tz. Did you mean timezone?',
  )
  expect(error(given(createTimer, '1s', { name: 'tick', onleader: true }, daily)).message).toContain(
    'Timer "tick" has no option onleader. Did you mean onLeader?',
  )
  expect(error(given(createTask, { overlap: 'skip' }, daily)).message).toContain(
    'Task "daily" has no option overlap. There are name, onLeader, timeout.',
  )
  expect(error(given(createTimer, '1s', null, daily)).message).toContain('The options of timer "daily" are null')
  expect(error(given(createCrontab, '@daily', 'Europe/Berlin', daily)).message).toContain(
    'The options of cron job "daily" are "Europe/Berlin"',
  )
})

test('refuses bad zones, durations and options, and names the job', () => {
  const cases = [
    [() => createCrontab('@daily', { timezone: 'Mars/Olympus' }, daily), 'TIME_ZONE_UNKNOWN', 'cron job "daily"'],
    [() => createTimer('0s', {}, daily), 'DURATION_INVALID', 'timer "daily"'],
    [() => Reflect.apply(createTimer, undefined, ['soon', {}, daily]), 'DURATION_INVALID', 'timer "daily"'],
    [() => createTimer('1s', { timeout: 0 }, daily), 'DURATION_INVALID', 'timeout of timer "daily"'],
    [() => createTimer('1s', { jitter: -1 }, daily), 'DURATION_INVALID', 'jitter of timer "daily"'],
    [
      () => Reflect.apply(createTimer, undefined, ['1s', { overlap: 'both' }, daily]),
      'DEFINITION_INVALID',
      'overlap of timer "daily"',
    ],
    [() => createCrontab('@daily', { catchUp: 'all' }, daily), 'DEFINITION_INVALID', 'onLeader'],
    [
      () => createCrontab('@daily', { onLeader: true, within: '1h' }, daily),
      'DEFINITION_INVALID',
      'within of cron job "daily"',
    ],
    [() => createCrontab('@daily', { limit: 0 }, daily), 'DEFINITION_INVALID', 'limit of cron job "daily"'],
    [
      () => createCrontab('@daily', { start: new Date(2), end: new Date(1) }, daily),
      'DEFINITION_INVALID',
      'cron job "daily"',
    ],
    [
      () => createCrontab('@daily', { start: new Date('never') }, daily),
      'DEFINITION_INVALID',
      'start of cron job "daily"',
    ],
    [() => Reflect.apply(createTask, undefined, [{}, 'daily']), 'DEFINITION_INVALID', 'function'],
  ] as const
  for (const [define, code, text] of cases)
    expect(error(define)).toMatchObject({ code, message: expect.stringContaining(text) })
})

test('refuses two jobs with one name', () => {
  const jobs = [createTask({}, daily), createTimer('1s', {}, daily)]
  expect(error(() => schedulerPart({ appId: 'app', contexts: new AsyncLocalStorage() }, jobs))).toMatchObject({
    code: 'NAME_TAKEN',
    message: expect.stringContaining('The name of timer "daily" is taken by task "daily".'),
  })
})
