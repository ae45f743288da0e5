import { describe, expect, test } from 'vitest'
import { runHere } from '../../fixtures/run-here.ts'
import { runMillrace } from '../../fixtures/run-millrace.ts'

async function completed(...words: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await runHere(['--complete', ...words])
  return stdout.split('\n').slice(0, -1)
}

describe('words that may follow', () => {
  test.each([
    [['ta'], ['tail', 'tables', 'table']],
    [['prod'], ['produce']],
    [['table', ''], ['word_counts']],
    [['table', 'word_counts', ''], []],
    [
      ['send', ''],
      ['posts', 'absent', '@count-words', '@shuffle-words'],
    ],
    [['send', '@s'], ['@shuffle-words']],
    [['send', '--key', 'send', '@c'], ['@count-words']],
    [['--json', '-l', 'w'], ['warn']],
    [['lag', 'c'], ['count-words']],
    [
      ['dlq', ''],
      ['list', 'show', 'replay'],
    ],
    [['dlq', 'list', 's'], ['shuffle-words']],
    [['reset', '--y'], ['--yes']],
    [['worker', '--commit-int'], ['--commit-interval']],
    [
      ['worker', '--no-w'],
      ['--no-web', '--no-web-built-in', '--no-web-open-metrics'],
    ],
    [['agents', '--no-c'], ['--no-color']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [
      ['produce', 'u1', ''],
      ['de', 'fr'],
    ],
    [['--logfile', ''], []],
    [['nonsense', ''], []],
  ])('%j', async (words, expected) => {
    expect(await completed(...words)).toEqual(expected)
  })
})

describe('the script', () => {
  test('is printed without an app, and asks for a shell that it knows', async () => {
    expect((await runMillrace(['completion', 'zsh'])).stdout).toContain('compdef _millrace_complete millrace')
    expect((await runMillrace(['completion', 'fish'])).stdout).toContain('complete -c millrace')
    expect(await runMillrace(['completion', 'csh'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('bash'),
    })
  })
})
