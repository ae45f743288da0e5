import { describe, expect, test } from 'vitest'
import { runHere } from '../fixtures/run-here.ts'
import { runMillrace, startMillrace } from '../fixtures/run-millrace.ts'

// Commands that an app defines, run by the real command.

describe.concurrent('a command of the app', () => {
  test('gets its options and arguments, typed, with defaults', async () => {
    const { code, stdout } = await runMillrace(['-A', 'app.ts', 'produce', 'u1', 'de', '--max-messages', '5'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^SENDING\n/)
    expect(JSON.parse(stdout.slice('SENDING\n'.length))).toEqual({
      maxLatency: 0.5,
      maxMessages: 5,
      user: 'u1',
      country: 'de',
    })
  })

  test('with --json only JSON goes to the output', async () => {
    const { stdout, stderr } = await runHere(['produce', 'u1', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({ user: 'u1' })
    expect(stderr).toContain('SENDING')
  })

  test('shows its defaults in its help', async () => {
    const { stdout } = await runHere(['produce', '--help'])
    expect(stdout).toContain('produce <user> [country]')
    expect(stdout).toMatch(/--max-latency.*\[default: 0.5\]/)
  })

  test.each([
    [['produce', 'u1', 'xx'], '<country> takes one of de, fr, not "xx"'],
    [['produce'], 'produce needs <user>'],
    [['produce', 'u1', 'de', 'extra'], 'does not take the argument "extra"'],
    [['produce', 'u1', '--max-mesages', '1'], 'Did you mean --max-messages?'],
  ])('%j is wrong usage', async (words, message) => {
    expect(await runHere(words)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) })
  })

  test('that throws exits with 1, saying where', async () => {
    const { code, stderr } = await runMillrace(['-A', 'app.ts', 'failing'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/no luck today\n.*app\.ts:\d+/)
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('a daemon stays until %s, and exits with 0', async (signal) => {
    const daemon = startMillrace(['-A', 'app.ts', 'listen', '--debug'])
    await daemon.untilOutput('STARTED')
    daemon.child.kill(signal)
    const { code, stderr } = await daemon.exit
    expect(code).toBe(0)
    expect(stderr).toContain('client closed')
  })

  test('a command that ignores signals is ended by one, and its client is closed', async () => {
    const command = startMillrace(['-A', 'app.ts', 'forever', '--debug'])
    await command.untilOutput('STARTED')
    command.child.kill('SIGTERM')
    const { code, stderr } = await command.exit
    expect(code).toBe(143)
    expect(stderr).toContain('client closed')
  })

  test('a command that listens to cli.signal may finish its work', async () => {
    const command = startMillrace(['-A', 'app.ts', 'polite'])
    await command.untilOutput('STARTED')
    command.child.kill('SIGINT')
    expect(await command.exit).toMatchObject({ code: 0, stdout: 'STARTED\nBYE\n' })
  })
})
