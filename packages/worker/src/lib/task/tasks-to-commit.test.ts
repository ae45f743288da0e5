import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { tasksToCommit } from './row-budget.ts'

const sum = (tasks: readonly { readonly dirtyBytes: number }[]): number =>
  tasks.reduce((total, { dirtyBytes }) => total + dirtyBytes, 0)

test('the remaining tasks are small enough, no committed task is unnecessary, and no remaining one is larger', () => {
  const tasks = fc.array(fc.record({ dirtyBytes: fc.nat({ max: 100 }) }), { maxLength: 20 })
  fc.assert(
    fc.property(tasks, fc.nat({ max: 500 }), (all, keepBytes) => {
      const cut = tasksToCommit(all, keepBytes)
      const rest = all.filter((task) => !cut.includes(task))
      expect(sum(rest)).toBeLessThanOrEqual(keepBytes)
      const least = cut.at(-1)
      if (least === undefined) return
      expect(least.dirtyBytes).toBeGreaterThan(0)
      expect(sum(rest) + least.dirtyBytes).toBeGreaterThan(keepBytes)
      for (const { dirtyBytes } of rest) expect(dirtyBytes).toBeLessThanOrEqual(least.dirtyBytes)
    }),
  )
})
