export interface RandomWithdrawal {
  readonly user: string
  readonly country: string
  readonly amount: number
  readonly date: string
  /** Between 0 and 1: how long to wait before the next one. */
  readonly pause: number
}

const COUNTRIES = ['country_0', 'country_1', 'country_2', 'country_3', 'country_4']
/** Nine in ten come from one country. */
const HOME_SHARE = 0.9
const USERS = 500
const MOST_CENTS = 2_500_000
const FIRST_DAY = Date.UTC(2026, 0, 1)

/** Makes the same withdrawals for the same seed. */
export function randomWithdrawal(seed: number): () => RandomWithdrawal {
  const random = mulberry32(seed)
  let made = 0
  return () => ({
    user: `user_${Math.floor(random() * USERS)}`,
    country:
      (random() < HOME_SHARE ? COUNTRIES[0] : COUNTRIES[1 + Math.floor(random() * (COUNTRIES.length - 1))]) ??
      'country_0',
    amount: Math.floor(random() * MOST_CENTS),
    date: new Date(FIRST_DAY + made++ * 1000).toISOString(),
    pause: random(),
  })
}

/** A small generator with 32 bits of state; Math.random takes no seed. */
function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
