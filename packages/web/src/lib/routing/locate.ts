import { isMillraceError } from '@millrace/core'
import type { Router } from './router.ts'
import type { RoutedTable } from '@millrace/worker'
import { PageError } from '../pages/page-error.ts'
import type { SiteWorker } from '../site-app.ts'

/**
 * Finds keys through the group's last assignment as this worker knows it: the member that has the task of the key's
 * partition, and the address of its site.
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

/** Encodes the key as the table does; throws a `PageError` 501 for a table whose keys cannot be located. */
export function partitionOf(table: RoutedTable, key: Buffer): number | undefined {
  try {
    return table.partitionOf(key)
  } catch (error) {
    if (!isMillraceError(error, 'DEFINITION_INVALID')) throw error
    throw new PageError(501, error.detail, { cause: error })
  }
}

/** A worker that has partitions. */
export interface Owner {
  readonly member: string
  readonly address: string
}

/** The other workers that have any partitions, as far as this one knows. */
export function membersOf(worker: Pick<SiteWorker, 'assignment'>): readonly Owner[] {
  const { memberId, group } = worker.assignment()
  const members = new Map<string, Owner>()
  for (const { member, address } of group.values())
    if (address !== undefined && member !== memberId) members.set(member, { member, address })
  return [...members.values()]
}

/** The other workers that have these partitions, as far as this one knows. */
export function ownersOf(
  worker: Pick<SiteWorker, 'assignment'>,
  count: number,
  partitions: readonly number[],
): readonly Owner[] {
  const { memberId, group } = worker.assignment()
  const owners = new Map<string, Owner>()
  for (const partition of partitions) {
    const owner = group.get(`${count}-${partition}`)
    if (owner?.address !== undefined && owner.member !== memberId)
      owners.set(owner.member, { member: owner.member, address: owner.address })
  }
  return [...owners.values()]
}
