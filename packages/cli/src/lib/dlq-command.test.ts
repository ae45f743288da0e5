import { describe, expect, test } from 'vitest'
import { runHere } from '../fixtures/run-here.ts'

describe('dlq list', () => {
  test('counts by agent, then the newest letters', async () => {
    const { code, stdout } = await runHere(['dlq', 'list'])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /agent +letters +waiting +topic\ncount-words +2 +1 +fake-count-words-dlq\nshuffle-words +0 +0/,
    )
    expect(stdout).toMatch(/3 +7 +2023-11-14T22:13:21.000Z +posts\/3@41 +TypeError +no\\nword +no/)
    expect(stdout).toMatch(/0 +2 +DECODE_FAILED +no JSON +yes/)
  })

  test('of one agent, up to a limit, as JSON', async () => {
    const { code, stdout } = await runHere(['dlq', 'list', 'count-words', '--limit', '1', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject([
      { name: 'count-words', letters: 2, waiting: 1, newest: [{ partition: 3, offset: 7, source: { offset: 41 } }] },
    ])
  })

  test('of an agent without any', async () => {
    expect((await runHere(['dlq', 'list', 'shuffle-words'])).stdout).toBe(
      'Agent "shuffle-words" has no dead letters.\n',
    )
  })
})

describe('dlq show', () => {
  test('the whole letter', async () => {
    const { code, stdout } = await runHere(['dlq', 'show', 'count-words', '3', '7'])
    expect(code).toBe(0)
    for (const text of [
      'fake-count-words-dlq, partition 3, offset 7',
      'posts, partition 3, offset 41',
      'attempts: 4',
      'TypeError · no\\nword',
      '{"word":""}  (json)',
      'trace = t-1',
      'at count (app.ts:7:1)',
    ])
      expect(stdout).toContain(text)
  })

  test('what was due in a state, without a place in a topic', async () => {
    const { stdout } = await runHere(['dlq', 'show', 'shuffle-words', '--latest'])
    expect(stdout).toContain('timer unpaid\\n of order-7 in reminders, partition 1, 2023-11-14T22:13:20.000Z')
    expect(stdout).not.toMatch(/^from/m)
  })

  test('the latest, as JSON', async () => {
    const { stdout } = await runHere(['dlq', 'show', 'count-words', '--latest', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'count-words',
      offset: 7,
      value: { as: 'json', value: { word: '' } },
      headers: [['trace', 't-1']],
      stack: expect.stringContaining('app.ts:7:1'),
    })
  })

  test('a missing letter', async () => {
    const { code, stdout, stderr } = await runHere(['dlq', 'show', 'count-words', '3', '8'])
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('no dead letter at partition 3, offset 8')
  })
})

describe('dlq replay', () => {
  test.each([[['3', '7']], [['--partition', '3', '--offset', '7']]])(
    'one letter, named as for show: %j',
    async (place) => {
      expect((await runHere(['dlq', 'show', 'count-words', ...place])).stdout).toContain('partition 3, offset 7')
      expect(await runHere(['dlq', 'replay', 'count-words', ...place])).toEqual({
        code: 0,
        stdout: '1 dead letter of agent "count-words" sent back.\n',
        stderr: '',
      })
    },
  )

  test('all: reports letters that could not be replayed and exits with 1', async () => {
    const { code, stdout, stderr } = await runHere(['dlq', 'replay', 'count-words', '--all'])
    expect([code, stdout]).toEqual([1, '1 dead letter of agent "count-words" sent back. Replayed before: 1.\n'])
    expect(stderr).toBe('Partition 1, offset 1 was not replayed: There is no topic "gone" any more.\n')
  })

  test('as JSON', async () => {
    const { stdout } = await runHere(['dlq', 'replay', 'count-words', '--all', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({ name: 'count-words', replayed: 1, before: 1, refused: { count: 1 } })
  })

  test('a missing letter', async () => {
    const { code, stderr } = await runHere(['dlq', 'replay', 'count-words', '--partition', '3', '--offset', '8'])
    expect(code).toBe(1)
    expect(stderr).toContain('DEAD_LETTER_MISSING')
  })
})

test.each([
  [['dlq'], '<action>'],
  [['dlq', 'drop'], 'list, show, replay'],
  [['dlq', 'show'], '<agent>'],
  [['dlq', 'show', 'count-words'], '--latest'],
  [['dlq', 'show', 'count-words', '3'], '<partition> and <offset>'],
  [['dlq', 'show', 'count-words', '3', '-1'], 'whole number'],
  [['dlq', 'show', 'count-words', '3', '7', '--latest'], '--latest'],
  [['dlq', 'show', 'count-words', '--latest', '--all'], 'does not take --all'],
  [['dlq', 'replay', 'count-words'], '--all'],
  [['dlq', 'replay', 'count-words', '--offset', '1'], '<partition> and <offset>'],
  [['dlq', 'replay', 'count-words', '3', '7', '--partition', '3'], 'as an argument and as --partition'],
  [['dlq', 'replay', 'count-words', '--all', '--partition', '3', '--offset', '1'], '--all'],
  [['dlq', 'replay', 'count-words', '3', '7', '--latest'], 'does not take --latest'],
  [['dlq', 'list', 'count-words', '3', '7'], 'as arguments'],
  [['dlq', 'list', '--all'], 'does not take --all'],
  [['dlq', 'list', 'count-word'], 'Did you mean "count-words"?'],
])('%j is wrong usage', async (words, message) => {
  const { code, stdout, stderr } = await runHere(words)
  expect(stderr).toContain(message)
  expect([code, stdout]).toEqual([2, ''])
})
