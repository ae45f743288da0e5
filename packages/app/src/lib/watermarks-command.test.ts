import { runCli } from '@millrace/cli'
import { deferred } from '@millrace/core'
import { commandLine } from '@millrace/core/operations'
import { expect, test } from 'vitest'
import { createApp } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Counts by the minute; the first visit is in flight until `held` is resolved. */
function stuckApp() {
  const held = deferred<void>()
  const web = { host: '127.0.0.1', port: 0 }
  const app = createApp({ id: 'shop', broker: 'memory:', web, topicPartitions: 1 }, { log: quiet })
  const visits = app.topic('visits', { key: 'string', value: 'string' })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 }).tumbling('1m')
  app.agent('count', visits, async (stream) => {
    for await (const [key] of stream.items()) {
      counts.update(key, (n) => n + 1)
      await held.promise
    }
  })
  return { app, visits, held }
}

async function run(app: ReturnType<typeof createApp>, ...words: readonly string[]) {
  let [stdout, stderr] = ['', '']
  const terminal = {
    stdout: { write: (text: string) => void (stdout += text) },
    stderr: { write: (text: string) => void (stderr += text) },
    env: {},
  }
  const worker = ['--worker', app.web.url ?? 'no site']
  const code = await runCli([...words, ...worker], {
    app: app[commandLine],
    appFile: '/somewhere/app.ts',
    terminal,
  })
  return { code, stdout, stderr }
}

test('watermarks names the event that holds a window, its agent and since when; then what else does', async () => {
  const { app, visits, held } = stuckApp()
  await app.start()
  try {
    await visits.send({ key: 'a', value: 'x' })
    await expect.poll(() => app.stats()?.agents['count']?.active).toBe(1)
    const { code, stdout } = await run(app, 'watermarks')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^name +task +worker +watermark +behind +held by +since$/m)
    expect(stdout).toMatch(
      /^counts-tumbling-1m +1-0 +\S+ +no event yet +agent count has not finished event visits\/0@0 +\d{4}-\S+Z$/m,
    )
    const json = await run(app, 'watermarks', 'counts-tumbling-1m', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject([
      { name: 'counts-tumbling-1m', watermark: null, heldBy: { reason: 'event', offset: 0, upstream: null } },
    ])
    const none = await run(app, 'watermarks', 'nothing')
    expect([none.code, none.stdout]).toEqual([0, expect.stringContaining('Nothing of the name "nothing"')])
    held.resolve()
    await expect.poll(async () => (await run(app, 'watermarks')).stdout).toMatch(/visits\/0 is at its end/)
  } finally {
    held.resolve()
    await app.stop()
  }
})
