import { testApp } from '@millrace/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { app } from './app.ts'

/** What the jobs print, in order: console.log is what their reader sees. */
function printed(): { lines: string[]; restore: () => void } {
  const lines: string[] = []
  const { log } = console
  console.log = (line: string) => lines.push(line)
  return { lines, restore: () => (console.log = log) }
}

describe('jobs', () => {
  let out: ReturnType<typeof printed>
  beforeEach(() => {
    out = printed()
  })
  afterEach(() => out.restore())

  const count = (line: string): number => out.lines.filter((one) => one.startsWith(line)).length

  it('A task is a one-off: it runs once, when the worker is ready', async () => {
    await using t = await testApp(app)
    await t.settle()
    expect(count('APP STARTED')).toBe(1)
    await t.clock.advance('10m')
    expect(count('APP STARTED')).toBe(1)
  })

  it('A timer runs every minute', async () => {
    await using t = await testApp(app)
    await t.clock.advance('5m')
    expect(count('WAKE UP')).toBe(5)
  })

  it('A cron job runs every day at 20:00 UTC', async () => {
    await using t = await testApp(app, { now: new Date('2026-03-01T19:59:00Z') })
    await t.clock.advance('59s')
    expect(count('WAKE UP ONCE A DAY')).toBe(0)
    await t.clock.advance('1s')
    expect(out.lines.filter((line) => line === 'WAKE UP ONCE A DAY')).toHaveLength(1)
    await t.clock.advance('2d')
    expect(out.lines.filter((line) => line === 'WAKE UP ONCE A DAY')).toHaveLength(3)
  })

  it('A cron job of a time zone and the leader runs once in the whole group, also over daylight saving', async () => {
    // Clocks in California go forward on 8 March 2026.
    await using t = await testApp(app, { now: new Date('2026-03-07T00:00:00Z') })
    await t.worker()
    await t.worker()
    await t.clock.advance('3d')
    expect(out.lines.filter((line) => line.includes('CALIFORNIA'))).toEqual([
      'WAKE UP ONCE A DAY, IN CALIFORNIA: 2026-03-07T04:00:00.000Z',
      'WAKE UP ONCE A DAY, IN CALIFORNIA: 2026-03-08T04:00:00.000Z',
      'WAKE UP ONCE A DAY, IN CALIFORNIA: 2026-03-09T03:00:00.000Z',
    ])
    // The other one is each worker's own.
    expect(out.lines.filter((line) => line === 'WAKE UP ONCE A DAY')).toHaveLength(9)
  })
})
