import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '@millrace/app'
import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import type { Pool } from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { openBank } from './bank.ts'
import { createTables, declareLedger, type Transfer } from './ledger.ts'
import { describePostgres } from './postgres.ts'

const appFile = await bundled(new URL('./app.ts', import.meta.url))

const TRANSFERS: readonly Transfer[] = Array.from({ length: 400 }, (_, n) => ({
  account: `account-${n % 17}`,
  cents: (n % 7) * 100 - 250,
}))
/** The worker is killed each time that every agent has handled so many more. */
const KILL_EVERY = 100

describePostgres('effects outside Kafka', (postgres) => {
  test('each happens once, although the worker is killed again and again', { timeout: 90_000 }, async () => {
    const { db, env } = postgres()
    const directory = await mkdtemp(join(tmpdir(), 'ledger-'))
    const bank = await openBank()
    let worker: AppProcess | undefined
    onTestFinished(async () => {
      await worker?.kill()
      bank.close()
      await rm(directory, { recursive: true, force: true })
    })
    await createTables(db)
    const broker = `embedded:${directory}`
    await sendAll(broker, db)
    const start = (): AppProcess =>
      startApp(appFile, ['worker'], {
        ...env,
        BANK_URL: bank.url,
        MILLRACE_BROKER: broker,
        MILLRACE_WEB_ENABLED: 'false',
        // Nothing is committed before the worker is killed, so the next one handles all events again.
        MILLRACE_COMMIT_INTERVAL: '10m',
        // A killed worker that comes back has its partitions at once.
        MILLRACE_INSTANCE_ID: 'ledger-0',
        PROGRAM_SOURCE_MAPS: 'off',
      })
    const sum = async (sql: string): Promise<readonly unknown[]> => (await db.query(sql)).rows
    /** How many transfers each agent has had an effect of. */
    const done = async (): Promise<readonly number[]> => {
      const { rows } = await db.query<Record<'booked' | 'handled' | 'totalled', number>>(
        'select (select count(*)::int from bookings) as booked, (select count(*)::int from handled) as handled, (select coalesce(sum(transfers), 0)::int from totals) as totalled',
      )
      return [...rows.flatMap(({ booked, handled, totalled }) => [booked, handled, totalled]), bank.charges.size]
    }

    let kills = 0
    worker = start()
    for (let least = KILL_EVERY; least < TRANSFERS.length; least += KILL_EVERY) {
      await expect
        .poll(async () => Math.min(...(await done())), { timeout: 30_000, interval: 20 })
        .toBeGreaterThanOrEqual(least)
      await worker.kill()
      kills++
      worker = start()
    }
    await expect.poll(done, { timeout: 30_000 }).toEqual([1, 1, 1, 1].map(() => TRANSFERS.length))
    expect(await worker.stop()).toBe(0)

    const oracle = [...new Set(TRANSFERS.map(({ account }) => account))].toSorted().map((account) => {
      const own = TRANSFERS.filter((transfer) => transfer.account === account)
      return { account, cents: own.reduce((total, { cents }) => total + cents, 0), transfers: own.length }
    })
    const totals = 'select account, cents::int, transfers::int from totals order by account collate "C"'
    expect(await sum(totals)).toEqual(oracle)
    const balances = oracle.map(({ account, cents }) => ({ account, cents }))
    expect(await sum('select account, cents::int from balances order by account collate "C"')).toEqual(balances)
    expect(
      await sum('select account, sum(cents)::int as cents from bookings group by account order by account collate "C"'),
    ).toEqual(balances)
    const charged = [...bank.charges.values()].map((body) => JSON.parse(body)).toSorted(byText)
    expect(charged).toEqual(TRANSFERS.toSorted(byText))
    expect(kills).toBe(3)
    // What the bank was asked before the first kill, at least, was asked again.
    expect(bank.requests).toBeGreaterThan(TRANSFERS.length)
  })
})

function byText(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1
}

async function sendAll(broker: string, db: Pool): Promise<void> {
  const app = createApp({ id: 'ledger', broker, web: false })
  const { transfers } = declareLedger(app, { db, bank: 'http://localhost:9/' })
  await Promise.all(TRANSFERS.map((value) => transfers.send({ key: value.account, value })))
  await app.stop()
}
