import { createApp } from '@millrace/app'
import pg from 'pg'
import { declareLedger } from './ledger.ts'

/**
 * As `PGHOST`, `PGUSER`, `PGDATABASE` and so on say. A transaction that a suspended worker has left open ends by itself, and does not
 * hold up the next owner for ever.
 */
const db = new pg.Pool({
  max: 20,
  statement_timeout: 10_000,
  idle_in_transaction_session_timeout: 10_000,
  allowExitOnIdle: true,
})
// An idle connection that breaks is replaced. Without a listener it would end the process.
db.on('error', (error) => console.error(`Postgres: ${error.message}`))

export const app = createApp({ id: 'ledger' })

declareLedger(app, { db, bank: process.env['BANK_URL'] ?? 'http://localhost:9999/charges' })

await app.main(import.meta)
