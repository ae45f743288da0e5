import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { NOT_NOW } from '../environment/not-now.ts'
import { RowBudget } from './row-budget.ts'

test('is full beyond its bound, has room again at three quarters, and requests commits until half is free', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1000 }),
      fc.array(fc.integer({ min: -400, max: 400 }), { maxLength: 60 }),
      (maxBytes, steps) => {
        let full = false
        let asked = 0
        const settle = (reason: number, now: boolean): void => {
          expect([reason, now]).toEqual([NOT_NOW.rows, !full])
          full = now
        }
        const handOut = {
          block: (reason: number) => settle(reason, true),
          unblock: (reason: number) => settle(reason, false),
        }
        const budget = new RowBudget(maxBytes, handOut, { commitLargest: () => void asked++ })
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
