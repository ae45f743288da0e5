import { describe, expect, test } from 'vitest'
import { runHere } from '../fixtures/run-here.ts'

describe('tail', () => {
  test('shows records as text: place, time, key and value, hex for bytes', async () => {
    const { code, stdout } = await runHere(['tail', 'posts', '--limit', '2'])
    expect([code, stdout]).toEqual([
      0,
      'posts/0@1  2023-11-14T22:13:20.000Z  ann  {"total":5}\nposts/1@0  2023-11-14T22:13:21.000Z  -  0xff00\n',
    ])
  })

  test('ends at the limit; with --json each record is one line', async () => {
    const { code, stdout } = await runHere(['tail', 'posts', '-n', '1', '--json'])
    expect(code).toBe(0)
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      {
        topic: 'posts',
        partition: 0,
        offset: 1,
        timestamp: '2023-11-14T22:13:20.000Z',
        key: { as: 'string', value: 'ann' },
        value: { as: 'json', value: { total: 5 } },
        headers: [['trace', 't-1']],
      },
    ])
  })

  test.each([
    [[], { from: 'end' }],
    [['--from', 'beginning', '--key', 'ann'], { from: 'beginning', key: 'ann' }],
    [['--from', '1207', '--partition', '3'], { from: { offset: 1207 }, partition: 3 }],
    [['--from', '2023-11-14T22:00Z'], { from: { timestampMs: 1_699_999_200_000 } }],
    [['--from', '10m'], { from: { timestampMs: expect.any(Number) } }],
  ])('%j asks for what it says', async (words, request) => {
    const { stderr } = await runHere(['tail', 'posts', '--limit', '1', ...words])
    expect(JSON.parse(stderr)).toMatchObject({ topic: 'posts', ...request })
  })

  test.each([
    [['tail'], '<topic>'],
    [['tail', 'posts', '--from', 'yesterday'], '--from takes beginning, end, an offset (1207)'],
    [['tail', 'posts', '--limit', '0'], '--limit takes a whole number from 1'],
    [['tail', 'posts', '--partition', '-1'], '--partition takes a whole number from 0'],
  ])('%j is wrong usage', async (words, message) => {
    const { code, stderr } = await runHere(words)
    expect(stderr).toContain(message)
    expect(code).toBe(2)
  })
})
