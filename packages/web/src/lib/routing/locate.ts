import { isMillraceError } from '@millrace/core'
import type { Router } from './router.ts'
import type { RoutedTable } from '@millrace/worker'
import { PageError } from '../pages/page-error.ts'
import type { SiteWorker } from '../site-app.ts'

/**
 * Finds keys by the group's last assignment, as the worker has it: which member has the task of the key's partition,
 * and where that member's site is.
 */
export function groupRouter(worker: Pick<SiteWorker, 'context' | 'assignment'>): Router {
  return {
    locate(table, key) {
      const partition = table.partitionOf(key)
      const partitions = worker.context.partitionsOf(table)
      if (partition === undefined || partitions === undefined) return undefined
      const { memberId, group } = worker.assignment()
      const owner = group.get(`${partitions}-${partition}`)
      return owner === undefined ? undefined : { partition, ...owner, local: owner.member === memberId }
    },
  }
}

/** As the table has it; a table whose keys cannot be found is a `PageError` 501. */
export function partitionOf(table: RoutedTable, key: Buffer): number | undefined {
  try {
    return table.partitionOf(key)
  } catch (error) {
    if (!isMillraceError(error, 'DEFINITION_INVALID')) throw error
    throw new PageError(501, error.detail, { cause: error })
  }
}
