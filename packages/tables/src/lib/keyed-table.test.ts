import fc from 'fast-check'
import { expect, it } from 'vitest'
import { UseCounts } from './keyed-table.ts'

it('counts every write once, for the agent that made it', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', '', '__proto__')), (agents) => {
      const counts = new UseCounts()
      for (const agent of agents) counts.addWrite(agent)
      const expected = new Map<string, number>()
      for (const agent of agents) expected.set(agent, (expected.get(agent) ?? 0) + 1)
      expect(counts.writes).toBe(agents.length)
      expect(new Map(Object.entries(counts.writers))).toEqual(expected)
    }),
  )
})
