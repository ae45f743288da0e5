import { commandLine } from '@millrace/core/operations'
import { runCli } from '@millrace/cli'
import { expect, test } from 'vitest'
import { createApp } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

test('mounts the site under a prefix of another server, as in the guide', async () => {
  const app = createApp({ id: 'shop', broker: 'memory:', web: { enabled: false } }, { log: quiet })
  app.page('/hello/', async (c) => c.json({ said: c.request.method === 'POST' ? await c.request.text() : 'hello' }))
  await app.start()
  try {
    const mounted = (request: Request, peer: string): Promise<Response> => {
      const url = new URL(request.url)
      url.pathname = url.pathname.slice('/stream'.length)
      return app.web.fetch(new Request(url, request), peer)
    }
    const page = 'http://localhost/stream/hello/'
    expect(await (await mounted(new Request(page), '10.0.0.1')).json()).toEqual({ said: 'hello' })
    const posted = new Request(page, { method: 'POST', body: 'a body' })
    expect((await mounted(posted, '10.0.0.1')).status).toBeLessThan(500)
    expect((await mounted(new Request('http://localhost/stream/stats'), '127.0.0.1')).status).toBe(200)
    expect((await mounted(new Request('http://localhost/stream/stats'), '10.0.0.1')).status).toBe(403)
  } finally {
    await app.stop()
  }
})

test('a missing topic is wrong usage, like a missing table or job', async () => {
  const app = createApp({ id: 'shop', broker: 'memory:', web: false }, { log: quiet })
  let stderr = ''
  const terminal = { stdout: { write: () => {} }, stderr: { write: (text: string) => void (stderr += text) }, env: {} }
  for (const words of [
    ['send', 'nothing', 'x'],
    ['tail', 'nothing'],
    ['table', 'nothing'],
    ['jobs', 'run', 'nothing'],
  ])
    expect([words, await runCli(words, { app: app[commandLine], appFile: '/somewhere/app.ts', terminal })]).toEqual([
      words,
      2,
    ])
  expect(stderr).toContain('TOPIC_MISSING')
})
