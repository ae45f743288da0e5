import { MillraceError } from '@millrace/core'
import { expect, test } from 'vitest'
import pc from 'picocolors'
import { describeFailure, failureFacts } from './describe-failure.ts'

const plain = pc.createColors(false)

test('code, title, what happened, what to do, cause', () => {
  const cause = new Error('connect ECONNREFUSED', { cause: new Error('deeper') })
  const error = new MillraceError('BROKER_UNREACHABLE', 'kafka://nowhere:9092 did not answer.', { cause })
  expect(describeFailure(error, plain, { stack: false }).split('\n')).toEqual([
    'BROKER_UNREACHABLE The broker cannot be reached.',
    '  kafka://nowhere:9092 did not answer.',
    '  To do: Check the broker setting, that the broker runs, and the network between.',
    '  Caused by Error: connect ECONNREFUSED',
    '  Caused by Error: deeper',
  ])
})

test('a Millrace cause shows its code and advice once, and its detail only if new', () => {
  const key = new MillraceError('KEY_NOT_OWNED', 'Key "a" of table "counts" belongs to partition 3.')
  const detail =
    'Agent "count" failed on orders/0 at offset 3, attempt 1: Key "a" of table "counts" belongs to partition 3.'
  const failed = new MillraceError('AGENT_FAILED', detail, { cause: key })
  const lines = describeFailure(failed, plain, { stack: false }).split('\n')
  expect(lines).toEqual([
    'AGENT_FAILED An agent failed on an event.',
    `  ${detail}`,
    `  To do: ${failed.fix}`,
    '  Caused by KEY_NOT_OWNED.',
    `  To do: ${key.fix}`,
  ])
  expect(failureFacts(failed)).toMatchObject({ error: { detail, causes: ['KEY_NOT_OWNED'] } })
  const stopped = new MillraceError('WORKER_FAILED', 'It stopped.', { cause: failed })
  const text = describeFailure(stopped, plain, { stack: false })
  for (const once of ['WORKER_FAILED', 'AGENT_FAILED', 'KEY_NOT_OWNED', detail, failed.fix, key.fix])
    expect(text.split(String(once)), String(once)).toHaveLength(2)
})

test('an error of user code comes with its place, and with its stack when asked', () => {
  const error = new TypeError('no luck')
  expect(describeFailure(error, plain, { stack: false })).toMatch(
    /^TypeError no luck\n\s+at .*describe-failure\.test\.ts/,
  )
  expect(describeFailure(error, plain, { stack: true })).toContain(error.stack)
})

test('anything may be thrown', () => {
  expect(describeFailure('just text', plain, { stack: false })).toContain('just text')
  expect(describeFailure(undefined, plain, { stack: false })).toContain('undefined')
})

test('a ring of causes ends', () => {
  const error = new Error('round')
  error.cause = new Error('and round', { cause: error })
  expect(describeFailure(error, plain, { stack: false }).split('\n').length).toBeLessThan(12)
})
