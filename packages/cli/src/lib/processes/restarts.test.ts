import { expect, test } from 'vitest'
import { type ProcessEnd, Restarts } from './restarts.ts'

const killed: ProcessEnd = { by: 'SIGKILL', wasReady: true, ranForMs: 5_000 }

test('a worker that fails before it was ever ready ends all: another try would fail, too', () => {
  expect(new Restarts().next({ by: 1, wasReady: false, ranForMs: 300 })).toBeUndefined()
})

test('one that was killed is started again, ready or not', () => {
  const restarts = new Restarts()
  expect(restarts.next({ ...killed, wasReady: false })).toBeGreaterThan(0)
  expect(restarts.next({ ...killed, by: 1 })).toBeGreaterThan(0)
})

test('one that was ready once may fail while it starts again', () => {
  const restarts = new Restarts()
  restarts.next(killed)
  expect(restarts.next({ by: 1, wasReady: false, ranForMs: 300 })).toBeGreaterThan(0)
})

test('waits twice as long each time, and gives up after five ends in a row', () => {
  const restarts = new Restarts()
  const waits = Array.from({ length: 6 }, () => restarts.next(killed))
  for (const [at, fullMs] of [1_000, 2_000, 4_000, 8_000, 16_000].entries()) {
    expect(waits[at]).toBeGreaterThanOrEqual(fullMs * 0.8)
    expect(waits[at]).toBeLessThanOrEqual(fullMs)
  }
  expect(waits[5]).toBeUndefined()
})

test('a minute of running begins afresh', () => {
  const restarts = new Restarts()
  for (let ends = 0; ends < 5; ends++) restarts.next(killed)
  expect(restarts.next({ ...killed, ranForMs: 60_000 })).toBeLessThanOrEqual(1_000)
})
