import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { runHere } from '../../fixtures/run-here.ts'
import { fixture, runMillrace } from '../../fixtures/run-millrace.ts'

const run = promisify(execFile)

async function completed(...words: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await runHere(['--complete', ...words])
  return stdout.split('\n').slice(0, -1)
}

describe('words that may follow', () => {
  test.each([
    [['ta'], ['tables', 'table']],
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
    [['worker', '--no-w'], ['--no-web']],
    [['agents', '--no-c'], ['--no-color']],
    [
      ['completion', ''],
      ['bash', 'zsh'],
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
    expect(await runMillrace(['completion', 'fish'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('bash'),
    })
  })

  test('completes in a real bash, with names of the app; where there is no app, commands', async () => {
    const { stdout: script } = await runMillrace(['completion', 'bash'])
    const directory = mkdtempSync(join(tmpdir(), 'millrace-complete-'))
    try {
      const program = join(directory, 'millrace')
      const loader = import.meta.resolve('tsx')
      writeFileSync(
        program,
        `#!/bin/sh\nexec "${process.execPath}" --import "${loader}" "${fixture('../bin.ts')}" "$@"\n`,
        { mode: 0o755 },
      )
      const ask = async (line: string): Promise<string> => {
        const bash = `${script}\nCOMP_LINE=$1 COMP_POINT=\${#1}\n_millrace_complete\nprintf '%s\\n' "\${COMPREPLY[@]}"`
        const env = { ...process.env, PATH: `${directory}:${process.env['PATH']}`, MILLRACE_APP: '' }
        return (await run('bash', ['-c', bash, 'bash', line], { env, cwd: fixture('.') })).stdout
      }
      expect(await ask('millrace -A two-apps.ts:first send @')).toBe('@count-words\n@shuffle-words\n')
      expect(await ask('millrace -A app.ts table ')).toBe('word_counts\n')
      expect(await ask('millrace -A nowhere.ts cle')).toBe('clean-versions\n')
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
