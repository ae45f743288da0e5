import { expect, it } from 'vitest'
import { createApp, type App } from './app.ts'

const browser = { headers: { accept: 'text/html' } }

async function typeAt(app: App, path: string): Promise<readonly [status: number, type: string | null]> {
  const answer = await app.web.fetch(new Request(`http://localhost${path}`, browser), '127.0.0.1')
  await answer.body?.cancel()
  return [answer.status, answer.headers.get('content-type')]
}

it('serves the dashboard at / by default; without it, an index of the pages and none of its JSON', async () => {
  const html = [200, 'text/html; charset=utf-8']
  const json = 'application/json'
  const whole = createApp({ id: 'shop', broker: 'memory:' })
  expect([await typeAt(whole, '/'), await typeAt(whole, '/dashboard/')]).toEqual([html, html])
  const bare = createApp({ id: 'shop', broker: 'memory:' }, { dashboard: false })
  expect(await typeAt(bare, '/')).toEqual([200, json])
  for (const path of ['/dashboard/', '/live/', '/history/', '/dead-letters/', '/topics/'])
    expect([path, await typeAt(bare, path)]).toEqual([path, [404, json]])
  expect(await typeAt(bare, '/graph/')).toEqual([200, json])
})
