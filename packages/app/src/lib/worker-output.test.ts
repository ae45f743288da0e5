import { runCli } from '@millrace/cli'
import { commandLine } from '@millrace/core/operations'
import { expect, test } from 'vitest'
import { createApp } from './app.ts'

/** A worker that ends by itself: its agent fails on the first event. */
async function endedWorker(
  words: readonly string[],
  isTTY: boolean,
): Promise<{ readonly code: number; readonly stdout: readonly string[]; readonly stderr: string }> {
  const app = createApp({ id: 'shop', broker: 'memory:', web: false })
  const orders = app.topic('orders', { value: 'string', partitions: 1 })
  const fail = { onError: 'stop' } as const
  app.agent(
    'take',
    orders,
    async (stream) => {
      for await (const _ of stream) throw new Error('no luck')
    },
    fail,
  )
  app.task(async function begin() {
    await orders.send({ value: 'x' })
  })
  let [stdout, stderr] = ['', '']
  const code = await runCli(['worker', ...words], {
    app: app[commandLine],
    terminal: {
      stdout: { isTTY, write: (text: string) => void (stdout += text) },
      stderr: { isTTY, write: (text: string) => void (stderr += text) },
      env: { NO_COLOR: '1' },
    },
  })
  return { code, stdout: stdout.split('\n').slice(0, -1), stderr }
}

test('a program reads each fact once', async () => {
  const { code, stdout, stderr } = await endedWorker([], false)
  expect(code).toBe(1)
  const lines = stdout.map((line): { msg: string; level: string; tasks?: number } => JSON.parse(line))
  expect(lines.map(({ msg }) => msg)).toEqual([
    'Worker is starting',
    'Topics were created.',
    'Worker is ready',
    'Agent "take" failed on an event: the worker stops.',
    'The worker ends: AGENT_FAILED',
  ])
  expect(lines[2]).toMatchObject({ tasks: 1 })
  expect(stderr.match(/no luck/g)).toHaveLength(1)
})

test('a person reads each fact once, with the reason at the end', async () => {
  const { stdout, stderr } = await endedWorker([], true)
  const after = stdout
    .slice(stdout.indexOf('╰─') + 1)
    .map((line) => line.replace(/^[\d:.]+ /, ''))
    // Stack frames of an installed Millrace are hidden. Here it is not installed, so its frames are shown.
    .filter((line) => !/\/streams\/src\/|at async Promise\.all/.test(line))
  expect(after.map((line) => line.replace(/ [a-z]+[A-Za-z]*=.*/, ''))).toEqual([
    'INFO  Topics were created.',
    'INFO  Worker is ready',
    'ERROR Agent "take" failed on an event: the worker stops.',
    '  Error: no luck',
    expect.stringMatching(/^ {4}at .*worker-output\.test\.ts/),
    'ERROR The worker ends: AGENT_FAILED',
  ])
  expect(stderr.split('\n')).toEqual([
    'AGENT_FAILED An agent failed on an event.',
    expect.stringContaining('no luck'),
    expect.stringContaining('To do:'),
    '',
  ])
})
