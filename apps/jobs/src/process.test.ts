import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

interface Job {
  readonly kind: string
  readonly runs: number
  readonly schedule: string
  readonly timezone?: string
  readonly onLeader: boolean
  readonly nextRun?: string
}

describe('jobs, as a worker process', () => {
  let directory: string
  let worker: AppProcess

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'jobs-'))
    const args = ['worker', '--web-port', '0', '--broker', `embedded:${directory}`]
    worker = startApp(await bundled(new URL('./app.ts', import.meta.url)), args)
    await worker.said('Worker is ready')
  })
  afterAll(async () => {
    await worker.kill()
    await rm(directory, { recursive: true, force: true })
  })

  async function job(name: string): Promise<Job> {
    const jobs: (Job & { readonly name: string })[] = JSON.parse(
      await (await fetch(new URL('/jobs/', worker.site()))).text(),
    )
    const found = jobs.find((one) => one.name === name)
    if (found === undefined) throw new Error(`There is no job ${name}.`)
    return found
  }

  it('What a task prints is in the output of the worker, once it is fully operational', async () => {
    await worker.said('APP STARTED')
    expect((await fetch(new URL('/health/ready', worker.site()))).status).toBe(200)
    expect(worker.stdout().match(/APP STARTED/g)).toHaveLength(1)
  })

  it('A timer of a minute is due within the minute', async () => {
    const { nextRun = '', ...timer } = await job('everyMinute')
    expect(timer).toMatchObject({ kind: 'timer', schedule: '1m', onLeader: false })
    const inMs = Date.parse(nextRun) - Date.now()
    expect(inMs).toBeGreaterThan(0)
    expect(inMs).toBeLessThanOrEqual(60_000)
  })

  it('A cron job is due when its crontab format says, in UTC and on every worker unless it says otherwise', async () => {
    const { nextRun, ...daily } = await job('everyDayAt8pm')
    expect(daily).toMatchObject({ kind: 'cron', schedule: '0 20 * * *', timezone: 'UTC', onLeader: false })
    expect(nextRun).toMatch(/T20:00:00\.000Z$/)
  })

  it('A cron job takes a time zone, and whether it runs on the leader only', async () => {
    // This one's is known when the worker has been made the leader.
    await expect.poll(async () => (await job('everyDayAt8pmPacific')).nextRun, { timeout: 10_000 }).toBeDefined()
    const { nextRun = '', ...daily } = await job('everyDayAt8pmPacific')
    expect(daily).toMatchObject({ schedule: '0 20 * * *', timezone: 'America/Los_Angeles', onLeader: true })
    expect(new Date(nextRun).toLocaleTimeString('en-GB', { timeZone: 'America/Los_Angeles' })).toBe('20:00:00')
  })

  it('stops in order', async () => expect(await worker.stop()).toBe(0))
})
