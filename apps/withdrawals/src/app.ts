import { setTimeout as wait } from 'node:timers/promises'
import { createApp, json } from '@millrace/app'
import { z } from 'zod'
import { randomWithdrawal } from './random-withdrawal.ts'

export const app = createApp({ id: 'withdrawals' })

export const Withdrawal = z.object({
  user: z.string(),
  country: z.string(),
  /** In cents. */
  amount: z.number().int().nonnegative(),
  date: z.iso.datetime(),
})
export type Withdrawal = z.infer<typeof Withdrawal>

export const withdrawals = app.topic('withdrawals', { key: 'string', value: json(Withdrawal) })
export const largeOnes = app.topic('withdrawals-large', { key: 'string', value: json(Withdrawal) })

export const userTotals = app.table('user_totals', {
  key: 'string',
  value: 'number',
  default: () => 0,
  help: 'user -> cents',
})
export const countryTotals = app.table('country_totals', {
  key: 'string',
  value: 'number',
  default: () => 0,
  help: 'country -> cents',
})

/** From here on a withdrawal is looked at twice. */
const LARGE = 2_000_000

app.agent(
  'track-users',
  withdrawals,
  async (stream) => {
    for await (const withdrawal of stream) {
      userTotals.update(withdrawal.user, (total) => total + withdrawal.amount)
      if (withdrawal.amount >= LARGE) await largeOnes.send({ key: withdrawal.user, value: withdrawal })
    }
  },
  { help: 'Sums withdrawals by user and passes large ones on' },
)

app.agent(
  'track-countries',
  withdrawals,
  async (stream) => {
    for await (const { country, amount } of stream.groupBy((withdrawal) => withdrawal.country, { name: 'by-country' }))
      countryTotals.update(country, (total) => total + amount)
  },
  { help: 'Sums withdrawals by country' },
)

app.command(
  'produce',
  {
    describe: 'Produce example withdrawals',
    options: {
      maxLatency: { type: 'number', default: 0.5, describe: 'Wait for (at most) so many seconds between withdrawals' },
      maxMessages: { type: 'number', describe: 'Send at most so many withdrawals; without it, or with 0, never stop' },
    },
    positionals: { seed: { type: 'number', default: 1, describe: 'The same seed sends the same withdrawals' } },
  },
  async ({ maxLatency, maxMessages = 0, seed }, cli) => {
    const next = randomWithdrawal(seed)
    cli.say('Done setting up. SENDING!')
    for (let sent = 0; (maxMessages === 0 || sent < maxMessages) && !cli.signal.aborted; sent++) {
      const withdrawal = next()
      await withdrawals.send({ key: withdrawal.user, value: withdrawal })
      if (sent % 10_000 === 0) cli.say(`+SEND ${sent}`)
      if (maxLatency > 0) await wait(withdrawal.pause * maxLatency * 1000)
    }
  },
)

app.command(
  'heartbeat',
  {
    describe: 'Send a tiny withdrawal now and then, until it is stopped',
    options: { every: { type: 'number', default: 1, describe: 'Seconds between two of them' } },
    daemon: true,
  },
  ({ every }, cli) => {
    const timer = setInterval(() => {
      const value = { user: 'heartbeat', country: 'nowhere', amount: 1, date: new Date().toISOString() }
      withdrawals.send({ key: value.user, value }).catch((error: unknown) => cli.say(String(error)))
    }, every * 1000)
    cli.signal.addEventListener('abort', () => clearInterval(timer), { once: true })
    cli.say('STARTING DAEMON')
    // The handler returns; the command goes on until Ctrl-C.
  },
)

await app.main(import.meta)
