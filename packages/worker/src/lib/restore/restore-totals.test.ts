import { describe, expect, it } from 'vitest'
import { RestoreTotals } from './restore-totals.ts'

describe('totals of restoring', () => {
  it('count time once for partitions that are restored side by side', () => {
    const totals = new RestoreTotals()
    for (let partition = 0; partition < 4; partition++) totals.begin(1000)
    expect(totals.activeMs(1500)).toBe(500)
    for (let partition = 0; partition < 4; partition++) totals.end(2000 + partition, 250)
    expect(totals.restored).toBe(1000)
    expect(totals.activeMs(9000)).toBe(1003)
  })

  it('leave out the time in which nothing was restored', () => {
    const totals = new RestoreTotals()
    totals.begin(0)
    totals.end(100, 10)
    totals.begin(5000)
    totals.end(5100, 0)
    expect(totals.activeMs(9000)).toBe(200)
    expect(totals.restored).toBe(10)
  })
})
