import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runMillrace, startMillrace } from '../fixtures/run-millrace.ts'

// A real worker process of the real command, on an app without a broker.

function lines(text: string): readonly Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

describe.concurrent('worker', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'drains on %s and exits with 0, printing JSON lines only',
    async (signal) => {
      const worker = startMillrace(['-A', 'app.ts', 'worker'])
      await worker.untilOutput('Worker is ready')
      worker.child.kill(signal)
      const { code, stdout, stderr } = await worker.exit
      expect(lines(stdout).map(({ msg }) => msg)).toEqual([
        'Worker is starting',
        'Worker is ready',
        'Stopping: finishing what is in flight. A second signal quits at once',
        'drained',
        'Worker has stopped',
      ])
      expect(lines(stdout)[0]).toMatchObject({
        level: 'info',
        app: 'fake',
        worker: 'worker-1',
        broker: 'memory:',
        agents: 2,
        tables: 1,
      })
      expect([code, stderr]).toEqual([0, ''])
    },
  )

  test('a second signal quits at once', async () => {
    const worker = startMillrace(['-A', 'slow-stop.ts', 'worker'])
    await worker.untilOutput('Worker is ready')
    worker.child.kill('SIGTERM')
    await worker.untilOutput('Stopping')
    worker.child.kill('SIGTERM')
    expect((await worker.exit).code).toBe(143)
  })

  test('a start that fails is told once, with code, what happened and what to do', async () => {
    const { code, stdout, stderr } = await runMillrace(['-A', 'start-fails.ts', 'worker'])
    expect(code).toBe(1)
    expect(stderr.split('\n').slice(0, 4)).toEqual([
      'BROKER_UNREACHABLE The broker cannot be reached.',
      '  kafka://nowhere:9092 did not answer.',
      '  To do: Check the broker setting, that the broker runs, and the network between.',
      '  Caused by Error: connect ECONNREFUSED',
    ])
    expect(lines(stdout).at(-1)).toMatchObject({ level: 'error', err: { code: 'BROKER_UNREACHABLE' } })
  })

  test('a fatal error ends it with 1', async () => {
    const { code, stderr } = await runMillrace(['-A', 'fatal.ts', 'worker'])
    expect(code).toBe(1)
    expect(stderr).toContain('Agent "count-words" failed on posts[3]@17.')
  })

  test('log lines go to a file when asked', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-log-'))
    const file = join(directory, 'worker.log')
    const worker = startMillrace(['-A', 'app.ts', 'worker', '--logfile', file, '-l', 'debug'])
    await expect
      .poll(() => (existsSync(file) ? readFileSync(file, 'utf8') : ''), { timeout: 30_000 })
      .toContain('Worker is ready')
    worker.child.kill('SIGTERM')
    expect(await worker.exit).toMatchObject({ code: 0, stdout: '' })
    expect(lines(readFileSync(file, 'utf8')).map(({ level }) => level)).toContain('debug')
    rmSync(directory, { recursive: true })
  })

  test('a misspelt variable is warned of', async () => {
    const worker = startMillrace(['-A', 'app.ts', 'worker'], { env: { MILLRACE_COMIT_INTERVAL: '1s' } })
    await worker.untilOutput('Worker is ready')
    worker.child.kill('SIGTERM')
    expect(lines((await worker.exit).stdout)[0]).toMatchObject({
      level: 'warn',
      variable: 'MILLRACE_COMIT_INTERVAL',
      nearest: 'MILLRACE_COMMIT_INTERVAL',
    })
  })
})

test('tail shows records as they come, and Ctrl-C is how it ends', async () => {
  const tail = startMillrace(['-A', 'app.ts', 'tail', 'posts', '--from', 'beginning'])
  await tail.untilOutput('posts/1@0')
  tail.child.kill('SIGINT')
  expect(await tail.exit).toMatchObject({ code: 0, stdout: expect.stringContaining('posts/0@1') })
})

test('a setting that was typed wrongly is told once, on the error output', async () => {
  const { code, stdout, stderr } = await runMillrace(['-A', 'app.ts', 'worker', '--commit-interval', 'soon'])
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr.match(/is "soon"/g)).toHaveLength(1)
})
