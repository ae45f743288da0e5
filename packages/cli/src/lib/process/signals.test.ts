import { EventEmitter } from 'node:events'
import { manualClock } from '@millrace/core'
import { beforeEach, expect, test } from 'vitest'
import { watchSignals, type Signals } from './signals.ts'

let source = new EventEmitter()
let clock = manualClock()
let quits: number[] = []
let signals: Signals

beforeEach(() => {
  source = new EventEmitter()
  clock = manualClock()
  quits = []
  signals = watchSignals({ clock, source, quit: (exitCode) => quits.push(exitCode) })
})

test('the first asks to stop', () => {
  expect(signals.received()).toBeUndefined()
  source.emit('SIGTERM')
  expect(signals.received()).toBe('SIGTERM')
  expect(signals.signal.aborted).toBe(true)
  expect(quits).toEqual([])
})

test('a second SIGTERM quits, however soon', () => {
  source.emit('SIGTERM')
  source.emit('SIGTERM')
  expect(quits).toEqual([143])
})

test('one Ctrl-C that arrives twice is one; a second Ctrl-C quits', async () => {
  source.emit('SIGINT')
  source.emit('SIGINT')
  expect(quits).toEqual([])
  await clock.advance(150)
  source.emit('SIGINT')
  expect(quits).toEqual([130])
})

test('the two signals count together', () => {
  source.emit('SIGTERM')
  source.emit('SIGINT')
  expect(quits).toEqual([130])
})

test('afterwards nothing listens', () => {
  signals.close()
  expect(source.listenerCount('SIGINT') + source.listenerCount('SIGTERM')).toBe(0)
})
