import type { Router } from '@millrace/core'
import type { SiteWorker } from '../site/site-deps.ts'

/**
 * Finds keys by the group's last assignment as the worker was told it: which member has the task of the key's partition,
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
