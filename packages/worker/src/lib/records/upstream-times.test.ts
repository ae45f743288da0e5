import { manualClock, NO_HEADERS, type RawRecord } from '@millrace/core'
import { expect, test } from 'vitest'
import { UpstreamTimes, watermarkHeaders } from './upstream-times.ts'

function said(task: string, time: number, isIdle = false): RawRecord {
  return { offset: 0, timestamp: 0, key: null, value: null, headers: watermarkHeaders(task, { time, isIdle }) }
}

test('the time is the lowest of all tasks, once each has said its own', () => {
  const times = new UpstreamTimes(['2-0', '2-1'], -Infinity, manualClock())
  expect(times.read(said('2-0', 50))).toBe(-Infinity)
  expect(times.read(said('2-1', 30))).toBe(30)
  expect(times.read(said('2-1', 70))).toBe(50)
  // What comes again, or too late, takes nothing back.
  expect(times.read(said('2-0', 10))).toBe(50)
})

test('after a restart, each counts as the time of the position until it is heard', () => {
  const times = new UpstreamTimes(['2-0', '2-1'], 40, manualClock())
  expect(times.read(said('2-0', 90))).toBe(40)
  expect(times.read(said('2-1', 60))).toBe(60)
})

test('those that are idle hold nobody; when all are, the highest time counts', () => {
  const times = new UpstreamTimes(['2-0', '2-1'], -Infinity, manualClock())
  expect(times.read(said('2-0', -Infinity, true))).toBe(-Infinity)
  expect(times.read(said('2-1', 30))).toBe(30)
  expect(times.read(said('2-1', 35, true))).toBe(35)
  expect(times.read(said('2-0', 20))).toBe(20)
})

test('records are no watermarks, and what unknown tasks say moves nothing', () => {
  const times = new UpstreamTimes(['2-0'], 5, manualClock())
  const record = said('2-0', 30)
  expect(times.read({ ...record, key: Buffer.from('k') })).toBeUndefined()
  expect(times.read({ ...record, value: Buffer.from('v') })).toBeUndefined()
  expect(times.read({ ...record, headers: NO_HEADERS })).toBeUndefined()
  expect(times.read(said('3-0', 30))).toBe(-Infinity)
  expect([times.isUsed, new UpstreamTimes([], 5, manualClock()).isUsed]).toEqual([true, false])
})

test('the slowest task is the lowest that is not idle, since it last rose', async () => {
  const clock = manualClock()
  const times = new UpstreamTimes(['2-0', '2-1'], -Infinity, clock)
  const startMs = clock.monotonic()
  expect(times.slowest).toMatchObject({ task: '2-0', movedAtMs: startMs })
  await clock.advance(1000)
  times.read(said('2-0', 50))
  times.read(said('2-1', 70))
  await clock.advance(1000)
  times.read(said('2-0', 50))
  expect(times.slowest).toMatchObject({ task: '2-0', movedAtMs: startMs + 1000 })
  times.read(said('2-0', 50, true))
  expect(times.slowest).toMatchObject({ task: '2-1' })
  times.read(said('2-1', 70, true))
  expect(times.slowest).toBeUndefined()
})

test('two headers, or one of another name, make no watermark', () => {
  const times = new UpstreamTimes(['2-0'], 5, manualClock())
  const record = said('2-0', 30)
  const [header] = record.headers
  if (header === undefined) throw new Error('There is no header.')
  expect(times.read({ ...record, headers: [header, ['trace', null]] })).toBeUndefined()
  expect(times.read({ ...record, headers: [['trace', header[1]]] })).toBeUndefined()
  // Its task is not known.
  expect(times.read({ ...record, headers: [[header[0], null]] })).toBe(-Infinity)
  expect(times.read(record)).toBe(30)
})

test('a task without an event says no time', () => {
  expect(watermarkHeaders('2-0', { time: -Infinity, isIdle: false })[0]?.[1]?.toString()).toBe('2-0::')
  expect(new UpstreamTimes(['2-0'], -Infinity, manualClock()).read(said('2-0', -Infinity))).toBe(-Infinity)
})

test('when all are idle, the highest time counts, whoever said it', () => {
  const times = new UpstreamTimes(['2-0', '2-1'], -Infinity, manualClock())
  times.read(said('2-0', 50, true))
  expect(times.read(said('2-1', 30, true))).toBe(50)
})
