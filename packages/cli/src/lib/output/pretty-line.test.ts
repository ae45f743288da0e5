import fc from 'fast-check'
import { expect, test } from 'vitest'
import pc from 'picocolors'
import { prettyLine } from './pretty-line.ts'

const pretty = (fields: object, stacks = false): readonly string[] =>
  prettyLine(JSON.stringify({ level: 'info', time: '2026-03-01T08:00:00.120Z', pid: 7, ...fields }), {
    color: pc.createColors(false),
    stacks,
  })
    .replace(/^\d\d:\d\d:00\.120/, 'TIME')
    .split('\n')

test('time, level, sentence, fields', () => {
  expect(pretty({ tasks: 8, topics: ['a (1)', 'b'], why: 'two words', msg: 'Worker is ready' })).toEqual([
    'TIME INFO  Worker is ready tasks=8 topics=a (1), b why="two words"',
  ])
})

const ours = {
  type: 'MillraceError',
  message: 'X_Y: it failed. Do so.',
  stack: 's\n at a (/x.ts:1)',
  code: 'X_Y',
  detail: 'it failed.',
}

test('an error of Millrace in one line, unless the sentence names it', () => {
  expect(pretty({ level: 'warn', msg: 'Trying again.', err: ours })).toEqual([
    'TIME WARN  Trying again.',
    '  X_Y: it failed.',
  ])
  expect(pretty({ level: 'error', msg: 'The worker ends: X_Y', err: ours })).toEqual([
    'TIME ERROR The worker ends: X_Y',
  ])
})

test('an error of user code with its place, or with its whole stack', () => {
  const stack =
    'TypeError: no luck\n    at f (/app/a.ts:1:2)\n    at node:internal/x:1\n    at g (/app/node_modules/b.js:3:4)'
  const err = { type: 'TypeError', message: 'no luck', stack }
  expect(pretty({ msg: 'Failed', err })).toEqual([
    'TIME INFO  Failed',
    '  TypeError: no luck',
    '    at f (/app/a.ts:1:2)',
  ])
  expect(pretty({ msg: 'Failed', err }, true)).toHaveLength(5)
})

test('a cause adds only new information', () => {
  const failed = {
    type: 'MillraceError',
    message: 'A_B: it stopped: it failed. Do this.',
    code: 'A_B',
    detail: 'it stopped: it failed.',
  }
  expect(pretty({ msg: 'Failed', err: { ...failed, cause: ours } })).toEqual([
    'TIME INFO  Failed',
    '  A_B: it stopped: it failed.',
    '  Caused by X_Y.',
  ])
  const other = { type: 'Error', message: 'connect ECONNREFUSED' }
  expect(pretty({ msg: 'Failed', err: { ...ours, cause: { ...other, cause: failed } } })).toEqual([
    'TIME INFO  Failed',
    '  X_Y: it failed.',
    '  Caused by Error: connect ECONNREFUSED',
    '  Caused by A_B: it stopped: it failed.',
  ])
})

const TEXT = fc.string({ unit: 'binary' })

test('log lines cannot draw on the terminal', () => {
  fc.assert(
    fc.property(
      TEXT,
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.jsonValue({ stringUnit: 'binary' }),
      (msg, name, value) => {
        const text = pretty({ msg, [name]: value, err: { type: msg, message: name, stack: msg } }).join('')
        // oxlint-disable-next-line no-control-regex -- looking for control characters is the purpose
        expect(text).not.toMatch(/[\u0000-\u001F\u007F-\u009F]/)
      },
    ),
  )
})
