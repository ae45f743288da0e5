import { existsSync, openSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { commandLine, fixture, runMillrace, startMillrace } from '../fixtures/run-millrace.ts'
import { runHere } from '../fixtures/run-here.ts'

// The command under the hands of somebody who means no good, or is only unlucky.

describe.concurrent('an app file that does not even load', () => {
  test.each([
    ['hangs.ts', 'an await at its top level waits for something that cannot come'],
    ['exits.ts', 'it ends the process, with exit code 0'],
    ['undefined-thrown.ts', 'it throws undefined'],
  ])('%s', async (name, why) => {
    const { code, stdout, stderr } = await runMillrace(['-A', `broken/${name}`, 'agents'], { typescript: true })
    expect(stderr).toContain(`APP_UNLOADABLE The app file cannot be imported.\n  ${fixture(`broken/${name}`)} `)
    expect(stderr.replace(/\s+/g, ' ')).toContain(why)
    expect([code, stdout]).toEqual([1, ''])
  })
})

describe('words', () => {
  test.each([
    [['agents', '--json=maybe'], '--json takes true or false, not "maybe"'],
    [['worker', '--web=perhaps'], '--web takes true or false, not "perhaps"'],
    [['send', 'posts', 'x', '-H', 'a=1', '-H', 'a=2'], '--header a was given more than once'],
    [['send', 'posts', 'x', '-H', '=1'], '--header takes name=value'],
    [['table', '__proto__'], 'has no table "__proto__"'],
    [['lag', 'constructor'], 'has no agent "constructor"'],
    [['agents', '--__proto__', 'x'], 'has no option'],
    [['тopics'], 'Did you mean topics?'],
    [['x'.repeat(100_000)], 'There is no command "xxx'],
    [['reset', '--to', '\u001B[2J'], 'how long ago (6h), not "\\u001b[2J"'],
  ])('%j', async (words, message) => {
    const { code, stdout, stderr } = await runHere(words)
    expect(stderr).toContain(message)
    // oxlint-disable-next-line no-control-regex -- none of it may reach the terminal
    expect(stderr).not.toMatch(/\u001B/)
    expect([code, stdout]).toEqual([2, ''])
  })

  test.each(['agents', 'tables', 'topics', 'models', 'jobs', 'lag', 'doctor'])(
    '%s --json is JSON, and so is its failure',
    async (command) => {
      expect(JSON.parse((await runHere([command, '--json'])).stdout)).toBeInstanceOf(Array)
      const { code, stdout, stderr } = await runHere([command, '--json', '--nonsense'])
      expect([code, stdout]).toEqual([2, ''])
      expect(JSON.parse(stderr)).toEqual({
        error: {
          code: 'COMMAND_USAGE',
          title: 'The command was not understood',
          detail: expect.stringContaining('--nonsense'),
          fix: expect.any(String),
          causes: [],
        },
      })
    },
  )
})

describe.concurrent('output that nobody takes', () => {
  test('a command whose reader has gone has done its work', async () => {
    const child = spawn(
      'sh',
      ['-c', '"$@" | head -c 1; exit 0', 'sh', ...commandLine(['-A', 'app.ts', 'agents', '--json'])],
      {
        cwd: fixture('.'),
      },
    )
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    await new Promise((resolve) => child.on('close', resolve))
    expect(stderr).toBe('')
  })

  test('a worker whose reader has gone finishes what is in flight, and is not taken for one that was stopped', async () => {
    const words = commandLine(['-A', 'app.ts', 'worker', '-l', 'debug'])
    // Gone before the first line: after the last one nothing would tell the worker.
    const child = spawn('bash', ['-c', '"$@" | true; exit ${PIPESTATUS[0]}', 'bash', ...words], {
      cwd: fixture('.'),
    })
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(141)
  })

  test.skipIf(!existsSync('/dev/full'))('a full disk is told, and no stack', async () => {
    const full = openSync('/dev/full', 'w')
    const [node = '', ...rest] = commandLine(['-A', 'app.ts', 'agents'])
    const child = spawn(node, rest, { cwd: fixture('.'), stdio: ['ignore', full, 'pipe'] })
    let stderr = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(stderr).toMatch(/^The output cannot be written: ENOSPC.*\n$/)
    expect(code).toBe(1)
  })

  test.skipIf(!existsSync('/dev/full'))('a worker goes on without its log file, and says so once', async () => {
    const worker = startMillrace(['-A', 'app.ts', 'worker', '--logfile', '/dev/full'])
    await worker.untilOutput('Log lines are lost')
    worker.child.kill('SIGTERM')
    const { code, stderr } = await worker.exit
    expect(stderr.match(/Log lines are lost/g)).toHaveLength(1)
    expect(code).toBe(0)
  })
})
