import type { AppTopic, ResetRequest, TopicRole } from '@millrace/core/operations'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { planReset, warningsOf, type TopicFacts } from './reset-plan.ts'

const PLAIN: ResetRequest = { to: 'beginning', inputs: [], intermediates: [], deadLetters: false }

const facts = (role: TopicRole, more: Partial<AppTopic & TopicFacts> & { records?: number } = {}): TopicFacts => {
  const { records = 5, name = 't' } = more
  return {
    topic: {
      id: name,
      partitions: 1,
      owner: undefined,
      internal: true,
      settings: undefined,
      sentBy: [],
      ...more,
      name,
      role,
    },
    bounds: [{ topic: name, partition: 0, beginning: 2, end: 2 + records }],
    committed: more.committed ?? false,
    positions: more.positions ?? [{ topic: name, partition: 0, offset: 4 }],
  }
}

const plan = (
  all: readonly TopicFacts[],
  request: Partial<ResetRequest> = {},
  offsetReset: 'earliest' | 'latest' = 'earliest',
): ReturnType<typeof planReset> => planReset(all, { request: { ...PLAIN, ...request }, offsetReset })

describe('the action for a topic', () => {
  test.each([
    ['source', {}, 'rewind'],
    ['source', { sentBy: ['a'] }, 'ask'],
    ['source', { sentBy: ['a'], records: 0 }, 'rewind'],
    ['between', { sentBy: ['a'] }, 'skip'],
    ['inbox', {}, 'ask'],
    ['inbox', { records: 0 }, 'rewind'],
    ['between', {}, 'skip'],
    ['output', {}, 'keep'],
    ['output', { committed: true }, 'skip'],
    ['repartition', {}, 'delete'],
    ['lookalike', {}, 'ask'],
    ['lookalike', { records: 0 }, 'keep'],
    ['lookalike', { committed: true }, 'skip'],
    ['changelog', {}, 'delete'],
    ['replies', {}, 'delete'],
    ['global', {}, 'delete'],
    ['global', { internal: false }, 'keep'],
    ['dead letters', {}, 'keep'],
    ['replays', {}, 'keep'],
    ['progress', {}, 'keep'],
    ['scheduler', {}, 'keep'],
    ['leader', {}, 'keep'],
  ] as const)('%s %j: %s', (role, more, action) => {
    expect(plan([facts(role, more)])).toMatchObject([{ name: 't', role, action }])
  })

  test('deletes dead letters and the record of their replays only on request', () => {
    const all = [facts('dead letters', { name: 'd' }), facts('replays', { name: 'r' })]
    expect(plan(all, { deadLetters: true }).map(({ action }) => action)).toEqual(['delete', 'delete'])
  })

  test('never deletes a topic that may be the repartition topic of another app', () => {
    const said = fc.constantFrom<Partial<ResetRequest>[]>({}, { inputs: ['t'] }, { intermediates: ['t'] })
    fc.assert(
      fc.property(said, fc.boolean(), fc.nat({ max: 3 }), fc.boolean(), (request, committed, records, deadLetters) => {
        const [found] = plan([facts('lookalike', { committed, records })], { ...request, deadLetters })
        expect(found?.action).not.toBe('delete')
      }),
    )
  })

  test('the user’s choice for a topic counts, by its name or its agent', () => {
    const all = [facts('source', { name: 'a' }), facts('inbox', { name: 'shop-b', owner: 'b' })]
    expect(plan(all, { intermediates: ['a'], inputs: ['@b'] }).map(({ action }) => action)).toEqual(['skip', 'rewind'])
    expect(() => plan(all, { intermediates: ['a'], inputs: ['a'] })).toThrow(/COMMAND_USAGE.*both/s)
    expect(() => plan(all, { inputs: ['@c'] })).toThrow(/no topic "@c".*Did you mean @b\?/s)
    expect(() => plan([facts('changelog')], { inputs: ['t'] })).toThrow(/made by Millrace for the app's changelog/)
  })
})

describe('where reading resumes', () => {
  const offsets = (...given: Parameters<typeof plan>): readonly number[] =>
    plan(...given).flatMap((topic) => topic.offsets.map(({ offset }) => offset))

  test('the first record still present, unless a worker would not start there by itself', () => {
    expect(offsets([facts('source')])).toEqual([])
    expect(offsets([facts('source')], {}, 'latest')).toEqual([2])
  })

  test('the end, or the first record after a time', () => {
    expect(offsets([facts('source')], { to: 'end' })).toEqual([7])
    expect(offsets([facts('source')], { to: { timestampMs: 1 } })).toEqual([4])
  })

  test('the end of topics that agents write again, wherever inputs begin', () => {
    for (const to of ['beginning', 'end', { timestampMs: 1 }] as const)
      expect(offsets([facts('between')], { to })).toEqual([7])
  })

  test('commits nothing in topics that are deleted or kept', () => {
    const role = fc.constantFrom<TopicRole[]>('changelog', 'repartition', 'replies', 'dead letters', 'scheduler')
    fc.assert(
      fc.property(role, fc.boolean(), (each, deadLetters) => {
        expect(offsets([facts(each)], { to: 'end', deadLetters })).toEqual([])
      }),
    )
  })
})

test('what to know before confirming', () => {
  const said = (...all: readonly TopicFacts[]): string => warningsOf(plan(all)).join('\n')
  expect(said(facts('source'))).toBe('')
  expect(said(facts('source', { name: 'a' }), facts('source', { name: 'b' }))).toMatch(/one of a, b.*--intermediate/)
  expect(said(facts('output'))).toMatch(/t will have them twice/)
  expect(said(facts('dead letters'))).toMatch(/Dead letters stay.*--dead-letters/)
  expect(said(facts('dead letters', { records: 0 }))).toBe('')
  expect(said(facts('replays'))).toMatch(/replayed/)
})
