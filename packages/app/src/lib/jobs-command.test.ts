import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApp } from './app.ts'
import { runCommand } from './fixtures/run-command.fixture.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** A worker that serves its site, and the command that calls it. */
function smallApp(admin: boolean | undefined): { readonly app: ReturnType<typeof createApp>; readonly ran: string[] } {
  const ran: string[] = []
  const web = { host: '127.0.0.1', port: 0, admin }
  const app = createApp({ id: 'shop', broker: 'memory:', web }, { log: quiet })
  app.crontab('0 0 1 1 *', function yearly() {
    ran.push('yearly')
  })
  app.crontab('0 0 1 1 *', function failing() {
    throw new Error('no luck today')
  })
  return { app, ran }
}

describe('jobs run, pause and resume ask a running worker', () => {
  const { app, ran } = smallApp(true)
  const guarded = smallApp(false).app
  beforeAll(async () => {
    await app.start()
    await guarded.start()
  })
  afterAll(async () => {
    await app.stop()
    await guarded.stop()
  })
  const at = (of: typeof app): readonly string[] => ['--worker', of.web.url ?? 'no site']

  it('runs a job and prints its outcome', async () => {
    expect(await runCommand(app, 'jobs', 'run', 'yearly', ...at(app))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Job "yearly": '),
    })
    expect(ran).toEqual(['yearly'])
    const failed = await runCommand(app, 'jobs', 'run', 'failing', ...at(app))
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining('no luck today')])
  })

  it('lists jobs with their last run and pause from the worker, and says if no worker answers', async () => {
    await runCommand(app, 'jobs', 'pause', 'failing', ...at(app))
    const { code, stdout, stderr } = await runCommand(app, 'jobs', ...at(app))
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^Last runs are those of worker \S+ at http:/)])
    expect(stdout).toMatch(/yearly .*scheduled +\d{4}-\S+Z done in \d+ms +\d{4}-01-01T00:00:00\.000Z/)
    expect(stdout).toMatch(/failing .*paused +\d{4}-\S+Z failed in \d+ms +when it is resumed/)
    await runCommand(app, 'jobs', 'resume', 'failing', ...at(app))
    const json = await runCommand(app, 'jobs', '--json', ...at(app))
    expect(JSON.parse(json.stdout)).toMatchObject([
      { name: 'yearly', paused: false, lastRun: { result: 'done', startedAt: expect.any(String) } },
      { name: 'failing', paused: false, state: 'scheduled', lastRun: { result: 'failed' } },
    ])

    const alone = await runCommand(app, 'jobs', '--web-port', '1')
    expect([alone.code, alone.stderr]).toEqual([
      0,
      expect.stringMatching(/^Last runs and pauses are not known: Nothing answers at http:\/\/\S+:1: /),
    ])
    expect(alone.stdout).toMatch(/yearly .*unknown +unknown +\d{4}-01-01T00:00:00\.000Z/)
    const named = await runCommand(app, 'jobs', '--worker', 'http://127.0.0.1:1')
    expect([named.code, named.stderr]).toEqual([1, expect.stringContaining('WORKER_UNREACHABLE')])
  })

  it('pauses and resumes a job', async () => {
    const isPaused = (): unknown => app.scheduler.jobs().find(({ name }) => name === 'yearly')?.state
    const before = isPaused()
    expect(await runCommand(app, 'jobs', 'pause', 'yearly', ...at(app))).toMatchObject({
      code: 0,
      stdout: 'Job "yearly": paused.\n',
    })
    expect(isPaused()).toBe('paused')
    expect(await runCommand(app, 'jobs', 'resume', 'yearly', ...at(app))).toMatchObject({ code: 0 })
    expect(isPaused()).toBe(before)
  })

  it('names the reason if actions are off, the site belongs to another app, or nothing answers', async () => {
    const off = await runCommand(guarded, 'jobs', 'pause', 'yearly', ...at(guarded))
    expect([off.code, off.stderr]).toEqual([1, expect.stringMatching(/ACTION_REFUSED.*403.*web\.admin/s)])
    const other = createApp({ id: 'other', broker: 'memory:' }, { log: quiet })
    other.timer('1h', function yearly() {})
    const wrong = await runCommand(other, 'jobs', 'run', 'yearly', ...at(app))
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringMatching(/WORKER_UNREACHABLE.*app "shop", not of "other"/s),
    ])
    const closed = await runCommand(other, 'jobs', 'run', 'yearly', '--worker', 'http://127.0.0.1:1')
    expect([closed.code, closed.stderr]).toEqual([1, expect.stringMatching(/WORKER_UNREACHABLE.*127\.0\.0\.1:1/s)])
    const none = await runCommand(other, 'jobs', 'run', 'yearly', '--no-web')
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('web.enabled is off')])
  })

  it('refuses an unknown job and invalid arguments', async () => {
    const typo = await runCommand(app, 'jobs', 'run', 'yaerly')
    expect([typo.code, typo.stderr]).toEqual([2, expect.stringContaining('Did you mean "yearly"?')])
    expect(await runCommand(app, 'jobs', 'run')).toMatchObject({ code: 2, stderr: expect.stringContaining('<name>') })
    expect(await runCommand(app, 'jobs', 'list', 'yearly')).toMatchObject({ code: 2 })
    expect(await runCommand(app, 'jobs', 'pause', 'yearly', '--worker', 'nowhere')).toMatchObject({ code: 2 })
  })
})
