import fc from 'fast-check'
import { expect, it } from 'vitest'
import { WriteCounts } from './write-counts.ts'

it('counts every write once, for the agent that made it', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', '', '__proto__')), (agents) => {
      const counts = new WriteCounts()
      for (const agent of agents) counts.add(agent)
      const expected = new Map<string, number>()
      for (const agent of agents) expected.set(agent, (expected.get(agent) ?? 0) + 1)
      expect(counts.total).toBe(agents.length)
      expect(new Map(Object.entries(counts.writers))).toEqual(expected)
    }),
  )
})
