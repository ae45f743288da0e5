import { createApp, runtimeOf, type App } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../lib/test-app.ts'

const NOON = new Date('2026-06-01T12:00:00Z')

function makeApp(): App {
  return createApp({ id: 'jobs' })
}

/** Which worker is at work here. */
function here(app: App): string {
  return runtimeOf(app).contexts.getStore()?.worker?.id ?? 'nobody'
}

function time(slot: Date): string {
  return slot.toISOString().slice(11, 19)
}

test('a task runs when the worker is ready, a timer at its interval, a cron job in its time zone; all can send and read', async () => {
  const app = makeApp()
  const words = app.topic('words', { key: 'string', value: 'string' })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  app.agent('count', words, async (stream) => {
    for await (const word of stream) counts.update(word, (n) => n + 1)
  })
  const seen: string[] = []
  app.task(async function onStarted() {
    await words.send({ key: 'started', value: 'started' })
  })
  app.timer('10s', async function everyTen({ slot }) {
    seen.push(`timer ${time(slot)} ${[...(await fromEntries(counts.entries()))].join()}`)
    await words.send({ key: 'tick', value: 'tick' })
  })
  app.crontab('0 8 * * *', { timezone: 'America/New_York' }, async function daily({ slot }) {
    seen.push(`cron ${slot.toISOString()}`)
  })
  await using t = await testApp(app, { now: new Date('2026-06-01T11:59:45Z'), partitions: 1 })
  await t.advance('25s')
  expect(seen).toEqual(['timer 11:59:55 started', 'cron 2026-06-01T12:00:00.000Z', 'timer 12:00:05 started,tick'])
  expect(counts.get('tick')).toBe(2)
  expect(app.scheduler.jobs().map(({ name, runs, state }) => ({ name, runs, state }))).toEqual([
    { name: 'onStarted', runs: 1, state: 'finished' },
    { name: 'everyTen', runs: 2, state: 'scheduled' },
    { name: 'daily', runs: 1, state: 'scheduled' },
  ])
})

test('a job that throws does not end the worker; its error appears in the jobs and the statistics', async () => {
  const app = makeApp()
  app.timer('1s', function shaky() {
    throw new Error('always')
  })
  await using t = await testApp(app, { now: NOON })
  await t.advance('3s')
  expect(app.scheduler.jobs()[0]).toMatchObject({
    runs: 3,
    failures: 3,
    lastError: { message: 'always', slot: new Date(NOON.getTime() + 3000) },
  })
  expect(t.logged.lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toContain(
    'Timer "shaky" failed in its run of 2026-06-01T12:00:03.000Z: always',
  )
  expect(t.all[0]?.worker.status).toBe('running')
})

test('of three workers the leader runs the job; when it dies the next leader continues, and no slot runs twice', async () => {
  const app = makeApp()
  const ran: string[] = []
  app.crontab('* * * * *', { onLeader: true }, function minutely({ slot }) {
    ran.push(`${time(slot)} ${here(app)}`)
  })
  await using t = await testApp(app, { now: NOON })
  await t.worker()
  await t.worker()
  await t.advance('2m')
  expect(ran).toHaveLength(2)
  const leader = ran[1]?.split(' ')[1]
  const dying = t.all.find(({ worker }) => worker.context.id === leader)
  await dying?.kill()
  await t.advance('3m')
  expect(ran.map((line) => line.split(' ')[0])).toEqual(['12:01:00', '12:02:00', '12:03:00', '12:04:00', '12:05:00'])
  const next = ran[4]?.split(' ')[1]
  expect(next).not.toBe(leader)
  await t.all.find(({ worker }) => worker.context.id === next)?.stop()
  await t.advance('2m')
  expect(ran.slice(5).map((line) => line.split(' ')[0])).toEqual(['12:06:00', '12:07:00'])
  expect(ran[6]).not.toContain(next)
  expect(Object.keys(t.all[0]?.worker.stats().agents ?? {})).toEqual([])
})

test("a leader's job cannot mistake its part of a table for the whole table", async () => {
  const app = makeApp()
  const sales = app.topic('sales', { key: 'string', value: 'number' })
  const totals = app.table('totals', { key: 'string', value: 'number', default: () => 0 })
  app.agent('sum', sales, async (stream) => {
    for await (const [shop, cents] of stream.items()) totals.update(shop, (before) => before + cents)
  })
  const rows: number[] = []
  app.timer('1m', { onLeader: true }, async function report() {
    rows.push((await fromEntries(totals.entries())).length, totals.size)
  })
  await using t = await testApp(app, { now: NOON, partitions: 4 })
  for (let shop = 0; shop < 20; shop++) await t.send(sales, { key: `shop-${shop}`, value: 100 })
  await t.advance('1m')
  expect(rows).toEqual([20, 20])
  await t.worker()
  await t.advance('1m')
  expect(rows).toEqual([20, 20])
  const failed = runtimeOf(app)
    .running.flatMap(({ scheduler }) => scheduler.jobs())
    .find(({ lastError }) => lastError)
  expect(failed?.lastError?.message).toMatch(
    /TABLE_PARTIAL: Job "report".* table "totals".* 2 of 4 partitions.*global table/s,
  )
})

test('a run that was under way when the leader died runs again on the next leader', async () => {
  const app = makeApp()
  const ran: string[] = []
  app.crontab('0 13 * * *', { onLeader: true }, async function once({ slot, signal }) {
    ran.push(`${time(slot)} ${here(app)}`)
    if (ran.length === 1)
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  })
  await using t = await testApp(app, { now: NOON })
  await t.worker()
  await t.advance('1h')
  expect(ran).toHaveLength(1)
  await t.all.find(({ worker }) => ran[0]?.endsWith(worker.context.id))?.kill()
  await t.advance('1s')
  expect(ran.map((line) => line.split(' ')[0])).toEqual(['13:00:00', '13:00:00'])
  expect(ran[0]).not.toBe(ran[1])
  await t.advance('2h')
  expect(ran).toHaveLength(2)
})

test('a leader task runs once while any worker is alive, and again after all have stopped', async () => {
  const app = makeApp()
  const ran: string[] = []
  app.task({ onLeader: true }, function seed() {
    ran.push(here(app))
  })
  await using t = await testApp(app, { now: NOON })
  expect(ran).toEqual(['worker-1'])
  const two = await t.worker()
  await t.advance('1m')
  await t.all[0]?.kill()
  await t.worker()
  await two.stop()
  await t.advance('1m')
  expect(ran).toEqual(['worker-1'])
  await t.all[0]?.stop()
  await t.advance('1m')
  await t.worker()
  await t.advance('1s')
  expect(ran).toEqual(['worker-1', 'worker-4'])
})

test('a leader task that had not finished runs on the next leader', async () => {
  const app = makeApp()
  const ran: string[] = []
  app.task({ onLeader: true }, async function watch({ signal }) {
    ran.push(here(app))
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    ran.push(`${here(app)} ends`)
  })
  await using t = await testApp(app, { now: NOON })
  await t.worker()
  await t.all[0]?.stop()
  await t.advance('1s')
  expect(ran).toEqual(['worker-1', 'worker-1 ends', 'worker-2'])
})

test('catchUp works after a full restart', async () => {
  const app = makeApp()
  const ran: string[] = []
  app.crontab(
    '0 * * * *',
    { name: 'all', onLeader: true, catchUp: 'all', within: '149m' },
    ({ slot }) => void ran.push(`all ${time(slot)}`),
  )
  app.crontab(
    '0 * * * *',
    { name: 'latest', onLeader: true, catchUp: 'latest' },
    ({ slot }) => void ran.push(`latest ${time(slot)}`),
  )
  app.crontab('0 * * * *', { name: 'none', onLeader: true }, ({ slot }) => void ran.push(`none ${time(slot)}`))
  await using t = await testApp(app, { now: NOON })
  await t.advance('90m')
  expect(ran.sort()).toEqual(['all 13:00:00', 'latest 13:00:00', 'none 13:00:00'])
  ran.length = 0
  await t.all[0]?.stop()
  await t.advance('3h')
  await t.worker()
  await t.advance('1s')
  expect(ran.sort()).toEqual(['all 15:00:00', 'all 16:00:00', 'latest 16:00:00'])
})

test('a stop aborts the signal of runs and waits for them', async () => {
  const app = makeApp()
  const seen: string[] = []
  const done = app.topic('done', { value: 'string' })
  for (const onLeader of [false, true])
    app.timer('1s', { name: `slow-${onLeader}`, onLeader }, async ({ signal, job }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      await done.send({ value: job })
      seen.push(job)
    })
  await using t = await testApp(app, { now: NOON, partitions: 1 })
  await t.advance('1s')
  await t.all[0]?.stop()
  expect(seen.sort()).toEqual(['slow-false', 'slow-true'])
  expect(
    t
      .sent(done)
      .map(({ value }) => value)
      .sort(),
  ).toEqual(['slow-false', 'slow-true'])
})

test("a leader's job can be triggered on the leader, paused and resumed", async () => {
  const app = makeApp()
  const ran: string[] = []
  app.crontab('@hourly', { onLeader: true }, function hourly() {
    ran.push(here(app))
  })
  await using t = await testApp(app, { now: NOON })
  await t.worker()
  await t.job('hourly').trigger()
  expect(ran).toHaveLength(1)
  await app.scheduler.pause('hourly')
  await t.advance('2h')
  await app.scheduler.resume('hourly')
  await t.advance('1h')
  expect(ran).toHaveLength(2)
  await expect(t.job('daily').trigger()).rejects.toMatchObject({ code: 'JOB_MISSING' })
})

test('a job that is paused on one worker is paused on all, and stays paused after restarts', async () => {
  const app = makeApp()
  const ran: string[] = []
  app.crontab('@hourly', function local() {
    ran.push(`local ${here(app)}`)
  })
  app.crontab('@hourly', { onLeader: true, catchUp: 'all' }, function led() {
    ran.push('led')
  })
  await using t = await testApp(app, { now: NOON })
  const second = await t.worker()
  await t.advance('1h')
  expect(ran).toHaveLength(3)
  for (const job of ['local', 'led']) await app.scheduler.pause(job)
  await t.advance('2h')
  expect(ran).toHaveLength(3)
  // The one that leads, or the other: whoever is left knows.
  await second.stop()
  const third = await t.worker()
  await t.advance('2h')
  expect(ran).toHaveLength(3)
  expect(app.scheduler.jobs().map(({ paused }) => paused)).toEqual([true, true])
  for (const job of ['local', 'led']) await app.scheduler.resume(job)
  await t.advance('1h')
  // Once on each worker, once on the leader, and nothing of what was skipped.
  expect(
    ran
      .slice(3)
      .map((each) => each.split(' ')[0])
      .toSorted(),
  ).toEqual(['led', 'local', 'local'])
  await third.stop()
  await expect(app.scheduler.pause('nothing')).rejects.toMatchObject({ code: 'JOB_MISSING' })
})

async function fromEntries(
  entries: AsyncIterable<readonly [string, unknown]> | Iterable<readonly [string, unknown]>,
): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const [key] of entries) keys.push(key)
  return keys.sort()
}
