import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { RowBudget } from './row-budget.ts'

test('full beyond its bound, with room again at three quarters, and cuts asked for until half is free', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1000 }),
      fc.array(fc.integer({ min: -400, max: 400 }), { maxLength: 60 }),
      (maxBytes, steps) => {
        let full = false
        let asked = 0
        const budget = new RowBudget(maxBytes, {
          onHalf: () => void asked++,
          onFull: (now) => {
            expect(now).toBe(!full)
            full = now
          },
        })
        let bytes = 0
        for (const step of steps) {
          const change = Math.max(step, -bytes)
          const wasFull = full
          const wasOver = bytes > maxBytes / 2
          const before = asked
          bytes += change
          budget.count(change)
          expect(budget.bytes).toBe(bytes)
          expect(budget.full).toBe(full)
          if (bytes > maxBytes) expect(full).toBe(true)
          if (bytes <= maxBytes * 0.75) expect(full).toBe(false)
          if (bytes > maxBytes * 0.75 && bytes <= maxBytes) expect(full).toBe(wasFull)
          const mustAsk = bytes > maxBytes / 2 && (!wasOver || change < 0)
          expect(asked - before).toBe(mustAsk ? 1 : 0)
        }
      },
    ),
  )
})
