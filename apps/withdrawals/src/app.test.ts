import { testApp } from '@millrace/testing'
import { describe, expect, it } from 'vitest'
import { app, countryTotals, largeOnes, userTotals, withdrawals } from './app.ts'
import { randomWithdrawal } from './random-withdrawal.ts'

describe('withdrawals', () => {
  it('sums by user and by country, and passes large ones on, with 3 workers', async () => {
    await using t = await testApp(app, { partitions: 8 })
    await t.worker()
    await t.worker()
    const next = randomWithdrawal(7)
    const sent = Array.from({ length: 2000 }, () => {
      const { pause: _pause, ...withdrawal } = next()
      return withdrawal
    })
    for (const value of sent) await t.send(withdrawals, { key: value.user, value })
    await t.settle()
    const sums = (by: 'user' | 'country'): Map<string, number> => {
      const totals = new Map<string, number>()
      for (const one of sent) totals.set(one[by], (totals.get(one[by]) ?? 0) + one.amount)
      return totals
    }
    for (const [user, total] of sums('user')) expect(userTotals.get(user)).toBe(total)
    for (const [country, total] of sums('country')) expect(countryTotals.get(country)).toBe(total)
    const large = sent.filter(({ amount }) => amount >= 2_000_000)
    expect(
      t
        .sent(largeOnes)
        .map(({ value }) => value?.date)
        .toSorted(),
    ).toEqual(large.map(({ date }) => date).toSorted())
  })

  it('makes the same withdrawals for the same seed', () => {
    const [one, two, other] = [randomWithdrawal(1), randomWithdrawal(1), randomWithdrawal(2)]
    expect(one()).toEqual(two())
    expect(one()).not.toEqual(other())
  })
})
