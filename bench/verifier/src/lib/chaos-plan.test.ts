import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planChaos, type ChaosOptions, type Deed } from './chaos-plan.ts'

const options: fc.Arbitrary<ChaosOptions> = fc.record({
  seed: fc.integer(),
  workers: fc.integer({ min: 1, max: 5 }),
  durationMs: fc.integer({ min: 1000, max: 600_000 }),
  kills: fc.integer({ min: 0, max: 40 }),
  stops: fc.integer({ min: 0, max: 20 }),
  freezes: fc.integer({ min: 0, max: 20 }),
  sessionMs: fc.integer({ min: 1000, max: 10_000 }),
})

const NEXT: Readonly<Record<Deed, readonly (Deed | undefined)[]>> = {
  kill: ['start'],
  stop: ['start'],
  freeze: ['thaw'],
  start: ['kill', 'stop', 'freeze', undefined],
  thaw: ['kill', 'stop', 'freeze', undefined],
}

test('each worker goes down and up in turn, as often as asked, in the order of time', () => {
  fc.assert(
    fc.property(options, (given) => {
      const steps = planChaos(given)
      const count = (deed: Deed): number => steps.filter((step) => step.deed === deed).length
      expect([count('kill'), count('stop'), count('freeze')]).toEqual([given.kills, given.stops, given.freezes])
      expect(steps.map(({ atMs }) => atMs)).toEqual(steps.map(({ atMs }) => atMs).sort((a, b) => a - b))
      for (let slot = 0; slot < given.workers; slot++) {
        const ofSlot = steps.filter((step) => step.slot === slot).map(({ deed }) => deed)
        expect(['kill', 'stop', 'freeze', undefined]).toContain(ofSlot[0])
        for (const [i, deed] of ofSlot.entries()) expect(NEXT[deed]).toContain(ofSlot[i + 1])
      }
    }),
  )
})

test('one seed, one plan', () => {
  fc.assert(
    fc.property(options, (given) => {
      expect(planChaos(given)).toEqual(planChaos({ ...given }))
    }),
  )
  const given = { workers: 3, durationMs: 60_000, kills: 10, stops: 3, freezes: 3, sessionMs: 3000 }
  expect(planChaos({ ...given, seed: 1 })).not.toEqual(planChaos({ ...given, seed: 2 }))
})

test('mostly somebody is up', () => {
  const steps = planChaos({
    seed: 1,
    workers: 3,
    durationMs: 600_000,
    kills: 60,
    stops: 20,
    freezes: 20,
    sessionMs: 3000,
  })
  const down = new Set<number>()
  let all = 0
  for (const { deed, slot } of steps) {
    if (deed === 'start' || deed === 'thaw') down.delete(slot)
    else down.add(slot)
    if (down.size === 3) all++
  }
  expect(all).toBeLessThan(20)
})
