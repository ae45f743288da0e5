import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startApp } from '@millrace/testing'
import { describe, expect, it } from 'vitest'

describe('jobs, as a worker process', () => {
  it('prints APP STARTED once it is operational, and tells when the others are due', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'jobs-'))
    const worker = startApp(new URL('./app.ts', import.meta.url), [
      'worker',
      '--web-port',
      '0',
      '--broker',
      `embedded:${directory}`,
    ])
    try {
      await worker.said('Worker is ready')
      await worker.said('APP STARTED')
      const site = worker.site()
      const jobs: { name: string; nextRun: string | null }[] = await (await fetch(new URL('/jobs/', site))).json()
      const next = new Map(jobs.map(({ name, nextRun }) => [name, nextRun === null ? undefined : new Date(nextRun)]))
      const inMs = (next.get('everyMinute')?.getTime() ?? 0) - Date.now()
      expect(inMs).toBeGreaterThan(0)
      expect(inMs).toBeLessThanOrEqual(60_000)
      expect(next.get('everyDayAt8pm')?.toISOString()).toMatch(/T20:00:00\.000Z$/)
      expect(next.get('everyDayAt8pmPacific')?.toLocaleTimeString('en-GB', { timeZone: 'America/Los_Angeles' })).toBe(
        '20:00:00',
      )
      expect(await worker.stop()).toBe(0)
    } finally {
      await worker.kill()
      await rm(directory, { recursive: true, force: true })
    }
  })
})
