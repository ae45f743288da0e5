import { type App, type ErrorAction, type Event, json } from '@millrace/app'
import type { Pool, PoolClient } from 'pg'
import { z } from 'zod'

export const Transfer = z.object({
  account: z.string(),
  /** In cents; below 0 to the other side. */ cents: z.number().int(),
})
export type Transfer = z.infer<typeof Transfer>

/** Creates what the agents below write to. */
export async function createTables(db: Pool): Promise<void> {
  await db.query(SCHEMA)
}

const SCHEMA = `
  create table if not exists bookings (event_id text primary key, account text not null, cents bigint not null);
  create table if not exists balances (account text primary key, cents bigint not null);
  create table if not exists handled (
    agent text not null, event_id text not null, at timestamptz not null default now(),
    primary key (agent, event_id)
  );
  create table if not exists totals (account text primary key, cents bigint not null, transfers bigint not null);
  create table if not exists positions (
    agent text not null, topic text not null, partition int not null, next_offset bigint not null,
    primary key (agent, topic, partition)
  );
`

export interface LedgerOptions {
  readonly db: Pool
  /** A service that charges, and knows idempotency keys. */
  readonly bank: string
}

/** Four ways to an effect that happens once outside Kafka, on one topic: each agent has its own. */
export function declareLedger(app: App, { db, bank }: LedgerOptions) {
  const transfers = app.topic('transfers', { key: 'string', value: json(Transfer), partitions: 4 })

  app.command('create-tables', { describe: 'Create the tables in Postgres' }, () => createTables(db))

  // The effect is one row: its key is the event's id.
  app.agent(
    'book',
    transfers,
    async (stream) => {
      for await (const { id, value } of stream.events())
        await db.query('insert into bookings values ($1, $2, $3) on conflict do nothing', [
          id,
          value.account,
          value.cents,
        ])
    },
    { concurrency: 8, onError: untilThere },
  )

  // The effect is whatever a transaction does: the id is noted in the same one.
  app.agent(
    'balance',
    transfers,
    async (stream) => {
      for await (const event of stream.events())
        await once(db, 'balance', event, async (client) => {
          const { account, cents } = event.value
          await client.query(
            'insert into balances values ($1, $2) on conflict (account) do update set cents = balances.cents + $2',
            [account, cents],
          )
        })
    },
    { concurrency: 8, onError: untilThere },
  )

  // Many events in one transaction, with the offsets up to which they are in: a row for each partition, not for each event.
  app.agent(
    'total',
    transfers,
    async (stream) => {
      for await (const events of stream.events().take(200, { within: '100ms' })) await addTotals(db, 'total', events)
    },
    { onError: untilThere },
  )

  // The effect is in another service: its request has the id as the key that makes it one.
  app.agent(
    'charge',
    transfers,
    async (stream) => {
      for await (const { id, value, signal } of stream.events()) {
        const headers = { 'content-type': 'application/json', 'idempotency-key': `ledger-charge-${id}` }
        const answer = await fetch(bank, { method: 'POST', headers, body: JSON.stringify(value), signal })
        if (!answer.ok) throw new Error(`The bank answers ${answer.status}.`)
      }
    },
    { concurrency: 8, timeout: '10s' },
  )

  return { transfers }
}

/**
 * What Postgres refuses for good (SQLSTATE 22 and 23: a value or a constraint) becomes a dead letter. All else passes: events
 * wait, in their order, until the database is there again.
 */
function untilThere({ error }: { readonly error: Error }): ErrorAction {
  const state = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return /^2[23]/.test(state) ? 'deadLetter' : { retry: 1_000_000, maxBackoff: '10s' }
}

/** Runs `effect` in a transaction that also notes the event; not at all if the event is noted already. */
async function once(
  db: Pool,
  agent: string,
  event: Event<string, unknown>,
  effect: (client: PoolClient) => Promise<void>,
): Promise<void> {
  await inTransaction(db, async (client) => {
    // Waits while another transaction notes the same event: a worker that was taken for dead may still be at it.
    const noted = await client.query('insert into handled (agent, event_id) values ($1, $2) on conflict do nothing', [
      agent,
      event.id,
    ])
    if (noted.rowCount === 1) await effect(client)
  })
}

/** A batch is of one partition, because the agent reads one topic. */
async function addTotals(db: Pool, agent: string, events: readonly Event<string, Transfer>[]): Promise<void> {
  const [first] = events
  const last = events.at(-1)
  if (first === undefined || last === undefined) return
  const place = [agent, first.topic, first.partition]
  await inTransaction(db, async (client) => {
    await client.query('insert into positions values ($1, $2, $3, 0) on conflict do nothing', place)
    // Locked: a worker that was taken for dead may still be at the same events.
    const { rows } = await client.query<{ next_offset: string }>(
      'select next_offset from positions where agent = $1 and topic = $2 and partition = $3 for update',
      place,
    )
    const next = Number(rows[0]?.next_offset)
    for (const { offset, value } of events)
      if (offset >= next)
        await client.query(
          'insert into totals values ($1, $2, 1) on conflict (account) do update set cents = totals.cents + $2, transfers = totals.transfers + 1',
          [value.account, value.cents],
        )
    await client.query(
      'update positions set next_offset = greatest(next_offset, $4) where agent = $1 and topic = $2 and partition = $3',
      [...place, last.offset + 1],
    )
  })
}

async function inTransaction(db: Pool, work: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await db.connect()
  try {
    await client.query('begin')
    await work(client)
    await client.query('commit')
    client.release()
  } catch (error) {
    // Ends the connection, and with it the transaction, whatever state they are in.
    client.release(true)
    throw error
  }
}
