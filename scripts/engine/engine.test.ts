import { deferred } from '@millrace/core'
import type { WorkerPart } from '@millrace/worker'
import { describe, expect, it } from 'vitest'
import { Engine } from './engine.ts'
import { Taker } from './taker.ts'

/** A part that does nothing but this when it is started. */
function starting(start: () => Promise<void>): WorkerPart {
  return { name: 'starting', declare: () => {}, start, ready: () => {}, stop: async () => {} }
}

describe('an engine', () => {
  it('hands out what was put, and commits what has finished, without any real time', async () => {
    await using engine = new Engine()
    const taker = new Taker(engine)
    await engine.start(taker)
    await taker.put(['a', 'b'])
    const first = await taker.next()
    first.finish()
    expect((await taker.next()).offset).toBe(1)
    await engine.until('the first is committed', () => engine.log.committed('app')[0]?.offset === 1)
    expect(engine.records('in').map(({ key }) => key?.toString())).toEqual(['a', 'b'])
  })

  it('hands out an event again whose task was lost, and after a rebalance only those that were put back', async () => {
    await using engine = new Engine()
    const taker = new Taker(engine)
    await engine.start(taker)
    await taker.put(['a'])
    const lost = await taker.next()
    engine.expire()
    await engine.until('it is lost', () => !lost.open)
    const again = await taker.next()
    expect([again.offset, again.attempts]).toEqual([0, 0])
    engine.rebalance()
    await engine.until('its end is waited for', () => again.isWanted)
    expect(again.open).toBe(true)
    again.finish()
  })

  it('keeps what has ended its worker', async () => {
    await using engine = new Engine()
    await expect(engine.start(starting(() => Promise.reject(new Error('no page'))))).rejects.toThrow('no page')
    expect(engine.failure?.message).toBe('no page')
    expect(engine.errors).toContainEqual({ source: 'worker', error: engine.failure })
  })

  it('lets time pass for what waits for it, and for nothing else', async () => {
    await using engine = new Engine()
    const beganMs = engine.clock.monotonic()
    await engine.during(engine.clock.sleep(50))
    expect(engine.clock.monotonic() - beganMs).toBeGreaterThanOrEqual(50)
    const { promise, reject } = deferred<void>()
    const atMs = engine.clock.monotonic()
    reject(new Error('at once'))
    await expect(engine.during(promise)).rejects.toThrow('at once')
    expect(engine.clock.monotonic() - atMs).toBeLessThanOrEqual(1)
  })
})
