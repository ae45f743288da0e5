/** An app of its own process, for `shared-tables.process.test.ts`: tables of all kinds, and a page with what a worker has of them. */
import { createApp, json } from '@millrace/app'

export interface Visit {
  readonly page: string
  readonly user: string
  readonly left: boolean
}

/** What one worker has. */
export interface Contents {
  /** Page and user, of the global table. */
  readonly last: readonly (readonly [string, string])[]
  /** Page and user, of the global set table. */
  readonly everywhere: readonly (readonly [string, string])[]
  /** Page and user, of the partitions of the set table that are here. */
  readonly here: readonly (readonly [string, string])[]
}

const app = createApp({ id: 'site' })
const visits = app.topic('visits', { key: 'string', value: json<Visit>() })
const last = app.globalTable('last_visitor', { key: 'string', value: 'string' })
const visitors = app.setTable('visitors', { key: 'string', value: 'string' })
const everywhere = app.setTable('visitors_everywhere', { key: 'string', value: 'string', global: true })

app.agent('note', visits, async (stream) => {
  for await (const { page, user, left } of stream) {
    last.set(page, user)
    for (const set of [visitors, everywhere]) {
      if (left) set.delete(page, user)
      else set.add(page, user)
    }
  }
})

app.page('/contents/', async (c) => {
  const all = async (
    rows: AsyncIterable<readonly [string, string]>,
  ): Promise<readonly (readonly [string, string])[]> => {
    const found: (readonly [string, string])[] = []
    for await (const row of rows) found.push(row)
    return found.sort()
  }
  const contents: Contents = {
    last: await all(last.entries()),
    everywhere: await all(everywhere.entries()),
    here: await all(visitors.entries()),
  }
  return c.json(contents)
})

await app.main(import.meta)
