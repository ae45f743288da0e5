import { commandLine } from '@millrace/core/operations'
import { expect, test } from 'vitest'
import { fakeApp } from '../fixtures/fake-app.ts'
import { runHere } from '../fixtures/run-here.ts'

test('jobs lists schedule, zone, location and next run', async () => {
  const { code, stdout, stderr } = await runHere(['jobs'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/on-started +task +on every worker +unknown +unknown +when a worker is ready/)
  expect(stdout).toMatch(/tick +timer +every 10s +on every worker +unknown +unknown +10s after a worker is ready/)
  expect(stdout).toMatch(
    /daily +cron +0 20 \* \* \* +Europe\/Berlin +on the leader +unknown +unknown +2023-11-14T22:13:20.000Z/,
  )
  expect(stderr).toContain('Last runs and pauses are not known: Workers of the app "fake" serve no site')
  expect(JSON.parse((await runHere(['jobs', '--json'])).stdout)).toContainEqual({
    name: 'daily',
    kind: 'cron',
    schedule: '0 20 * * *',
    timezone: 'Europe/Berlin',
    onLeader: true,
    state: null,
    paused: null,
    lastRun: null,
    nextRun: '2023-11-14T22:13:20.000Z',
  })
})

test('models lists codecs of keys and values, with one row for each topic of an agent', async () => {
  const { stdout } = await runHere(['models'])
  expect(stdout).toMatch(/posts +topic +string/)
  expect(stdout).toMatch(/word_counts +table +fake-word_counts-changelog +string +number/)
  const rows = JSON.parse((await runHere(['models', '--json'])).stdout)
  expect(rows).toContainEqual({ name: 'shuffle-words', kind: 'agent', topic: 'posts', key: null, value: 'string' })
  expect(rows).toContainEqual({ name: 'shuffle-words', kind: 'agent', topic: 'more-posts', key: null, value: null })
})

test('lag lists each partition, of one agent if named', async () => {
  const { stdout } = await runHere(['lag'])
  expect(stdout).toMatch(/count-words +fake-count-words +0 +10 +3 +7/)
  expect(stdout).toMatch(/shuffle-words +posts +1 +4 +4 +none/)
  expect(stdout).toMatch(/\n +passed-on +0 +5 +0 +5/)
  expect(stdout).toContain('In all 7 behind.')
  expect(JSON.parse((await runHere(['lag', '--json'])).stdout)).toContainEqual(
    expect.objectContaining({ name: null, topic: 'passed-on' }),
  )
  expect(JSON.parse((await runHere(['lag', 'shuffle-words', '--json'])).stdout)).toEqual([
    { name: 'shuffle-words', topic: 'posts', partition: 1, committed: null, end: 4, lag: 4 },
  ])
  const { code, stderr } = await runHere(['lag', 'count-wrods'])
  expect([code, stderr]).toEqual([2, expect.stringContaining('Did you mean "count-words"?')])
})

test('clean-versions deletes stores of other formats, or only lists them', async () => {
  const app = fakeApp({ otherStores: [{ directory: '/data/tables', format: 7 }] })[commandLine]
  const dry = await runHere(['clean-versions', '--dry-run'], { app })
  expect(dry.stdout).toMatch(/\/data\/tables +7\n\nNothing was deleted/)
  expect(dry.stderr).toBe('')
  const { stdout, stderr } = await runHere(['clean-versions', '--json'], { app })
  expect(JSON.parse(stdout)).toEqual([{ name: '/data/tables', format: 7 }])
  expect(stderr).toContain('"removed"')
  expect((await runHere(['clean-versions'])).stdout).toContain('no stores of other versions under /somewhere/.millrace')
})
