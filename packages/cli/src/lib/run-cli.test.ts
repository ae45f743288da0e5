import { describe, expect, test } from 'vitest'
import { runHere } from '../fixtures/run-here.ts'

describe('listings', () => {
  test('agents, for people', async () => {
    const { code, stdout } = await runHere(['agents'])
    expect(code).toBe(0)
    expect(stdout.split('\n')).toEqual([
      'name           topics             concurrency  help',
      'count-words    fake-count-words             4  Counts words',
      'shuffle-words  posts, more-posts            1',
      '',
    ])
  })

  test('agents, for programs: an array of objects with names', async () => {
    const { stdout } = await runHere(['agents', '--json'])
    expect(JSON.parse(stdout)).toMatchObject([
      { name: 'count-words', topics: ['fake-count-words'], concurrency: 4 },
      { name: 'shuffle-words' },
    ])
  })

  test('tables', async () => {
    const { stdout } = await runHere(['tables', '--json'])
    expect(JSON.parse(stdout)).toEqual([
      { name: 'word_counts', kind: 'table', changelog: 'fake-word_counts-changelog', help: 'word -> count' },
    ])
  })

  test('topics, with what the broker has', async () => {
    expect((await runHere(['topics'])).stdout).toMatch(/^posts +8 .*\nabsent +missing /m)
    expect(JSON.parse((await runHere(['topics', '--json'])).stdout)).toMatchObject([
      { name: 'posts', partitions: 8 },
      { name: 'absent', partitions: null, internal: true },
    ])
  })
})

describe('table', () => {
  test('a key', async () => {
    expect(await runHere(['table', 'word_counts', 'the'])).toMatchObject({ code: 0, stdout: '2\n', stderr: '' })
    const { stdout } = await runHere(['table', 'word_counts', 'the', '--json'])
    expect(JSON.parse(stdout)).toEqual({ name: 'word_counts', key: 'the', found: true, value: 2, partition: 5 })
  })

  test('a key that is not there is a failure', async () => {
    const { code, stdout, stderr } = await runHere(['table', 'word_counts', 'nope'])
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('has no key "nope"')
  })

  test('rows, and that there are more', async () => {
    const { stdout, stderr } = await runHere(['table', 'word_counts', '--limit', '1', '--json'])
    expect(JSON.parse(stdout)).toEqual([{ name: 'word_counts', key: 'the', value: 2, partition: 5 }])
    expect(stderr).toContain('more rows')
  })

  test('an unknown table', async () => {
    const { code, stderr } = await runHere(['table', 'word_count', 'the'])
    expect(code).toBe(2)
    expect(stderr).toContain('Did you mean "word_counts"?')
  })
})

describe('send', () => {
  test('to a topic', async () => {
    const { code, stdout, stderr } = await runHere([
      'send',
      'posts',
      'hello world',
      '-k',
      'a',
      '-H',
      'x=1',
      '-H',
      'y=a=b',
    ])
    expect([code, stdout]).toEqual([0, 'Sent to posts, partition 3, offset 17.\n'])
    expect(JSON.parse(stderr)).toMatchObject({
      target: 'posts',
      key: 'a',
      value: 'hello world',
      headers: { x: '1', y: 'a=b' },
    })
  })

  test('to an agent, a partition, a tombstone, for programs', async () => {
    const { stdout, stderr } = await runHere([
      'send',
      '@count-words',
      '--tombstone',
      '--key',
      'a',
      '--partition',
      '0',
      '--json',
    ])
    expect(JSON.parse(stdout)).toMatchObject({ topic: '@count-words', partition: 0, offset: 17 })
    expect(JSON.parse(stderr)).toMatchObject({ target: '@count-words', value: null })
  })

  test.each([
    [['send', 'posts'], 'send needs <value>, or --tombstone'],
    [['send', 'posts', 'x', '--tombstone'], '--tombstone sends no value'],
    [['send', 'posts', '--tombstone'], '--tombstone needs --key'],
    [['send', 'posts', 'x', '--partition', '-1'], '--partition takes a whole number'],
    [['send', 'posts', 'x', '-H', 'nothing'], '--header takes name=value'],
    [['send', '@count-word', 'x'], 'Did you mean @count-words?'],
  ])('%j is wrong usage', async (words, message) => {
    const { code, stderr } = await runHere([...words])
    expect(stderr).toContain(message)
    expect(code).toBe(2)
  })
})

describe('settings', () => {
  test('a value that the app refuses is wrong usage under its own code', async () => {
    const { code, stderr } = await runHere(['agents', '--commit-interval', 'soon'])
    expect(code).toBe(2)
    expect(stderr).toContain('SETTING_INVALID')
    expect(stderr).toContain('--commit-interval')
  })

  test('reach the app with the place of its file', async () => {
    const { stderr } = await runHere(['agents', '--web-port', '0', '--no-web', '--debug'])
    expect(JSON.parse(stderr)).toMatchObject({
      settings: { 'web.port': '0', 'web.enabled': 'false' },
      appFile: '/somewhere/app.ts',
    })
  })
})
