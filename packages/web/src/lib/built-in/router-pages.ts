import { unavailable } from '../pages/page-error.ts'
import { groupRouter } from '../routing/locate.ts'
import { partitionOf } from '../routing/locate.ts'
import type { PageContext } from '../pages/page-context.ts'
import type { PartitionedTable } from '../site-app.ts'
import { jsonPage, type BuiltInTools, type BuiltInPages } from './site-tools.ts'
import { partitionedTable } from './table-pages.ts'

interface PartitionLocation {
  readonly partition: number
  readonly member: string | undefined
  readonly address: string | undefined
  /** Partitions on the worker that was asked. */
  readonly local: boolean
}

/** Which worker has which keys, as far as this worker knows. */
export function routerPages(deps: BuiltInTools): BuiltInPages {
  return {
    '/router/': {
      help: 'The member and address of each partition, for each table.',
      page: jsonPage(() =>
        Object.fromEntries(
          [...deps.site.definitions.tables.values()].map((table) => [table.name, locationsOf(deps, table)]),
        ),
      ),
    },
    '/router/:name/': {
      help: 'The same for one table; with `?key=` as below.',
      page: (c) => {
        const table = partitionedTable(deps, c.params['name'] ?? '')
        const key = c.query.get('key')
        return key === null ? c.json(locationsOf(deps, table)) : locate(deps, c, key)
      },
    },
    '/router/:name/:key/': {
      help: 'The owner of a key; 503 when it is not known.',
      page: (c) => locate(deps, c, c.params['key'] ?? ''),
    },
  }
}

function locationsOf({ workers }: BuiltInTools, table: PartitionedTable): readonly PartitionLocation[] {
  const asked = workers.asked()
  const count = asked.context.partitionsOf(table) ?? 0
  const { group, memberId } = asked.assignment()
  return Array.from({ length: count }, (_, partition) => {
    const owner = group.get(`${count}-${partition}`)
    return {
      partition,
      member: owner?.member,
      address: owner?.address,
      local: owner !== undefined && owner.member === memberId,
    }
  })
}

function locate(deps: BuiltInTools, c: PageContext, text: string): Response {
  const table = partitionedTable(deps, c.params['name'] ?? '')
  const key = table.parseKey(text)
  partitionOf(table, key)
  const location = groupRouter(deps.workers.asked()).locate(table, key)
  if (location === undefined) throw unavailable(`The owner of this key of table "${table.name}" is not known.`)
  return c.json({ table: table.name, ...location })
}
