import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startApp } from '@millrace/testing'
import { describe, expect, it } from 'vitest'

describe('pages, as a worker process', () => {
  it('serves its pages on a port, and stops in order', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'pages-'))
    const worker = startApp(new URL('./app.ts', import.meta.url), [
      'worker',
      '--web-port',
      '0',
      '--broker',
      `embedded:${directory}`,
    ])
    try {
      await worker.said('Worker is ready')
      const site = worker.site()
      const ask = async (path: string, method = 'GET'): Promise<unknown> =>
        (await fetch(new URL(path, site), { method })).json()
      expect([await ask('/count/'), await ask('/count/')]).toEqual([{ count: 1 }, { count: 2 }])
      expect([await ask('/counter/?n=5', 'POST'), await ask('/counter/', 'DELETE')]).toEqual([
        { count: 5 },
        { count: 0 },
      ])
      expect(await ask('/stats')).toMatchObject({ app: 'pages', status: 'running' })
      expect((await fetch(new URL('/health/ready', site))).status).toBe(200)
      expect(await worker.stop()).toBe(0)
    } finally {
      await worker.kill()
      await rm(directory, { recursive: true, force: true })
    }
  })
})
