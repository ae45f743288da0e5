import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { RootDatabase } from 'lmdb'
import { MillraceError } from '@millrace/core'
import type { Facts } from './facts.ts'

const OWNER = 'owner'
const WORKER_ID = 'worker-id'

export interface OwnershipOptions {
  readonly root: RootDatabase<Buffer, Buffer>
  readonly facts: Facts
  readonly directory: string
}

/** The store's directory is taken by this process until `release`. */
export interface Ownership {
  /** Made once for a directory and kept in it: the same worker after every restart. */
  readonly workerId: string
  /** Reads once, so that this process stands in LMDB's table of readers, which some calls take it from. */
  stay(): void
  release(): void
}

/**
 * Takes the store for this process, or throws `STORE_IN_USE`. Who owns it is a row; whether the owner lives is told by
 * LMDB's table of readers, which the kernel's file locks back: process numbers mean nothing in another container and
 * are used again.
 */
export function takeOwnership({ root, facts, directory }: OwnershipOptions): Ownership {
  const self = `process ${process.pid} on ${hostname()}, started at ${new Date(performance.timeOrigin).toISOString()}`
  // Enters this process in the table of readers; from then on it can be seen.
  facts.get(OWNER)
  root.readerCheck()
  const workerId = root.transactionSync(() => {
    const owner = facts.get(OWNER)
    if (owner !== undefined && (owner === self || readers(root.readerList()) > 1)) {
      throw new MillraceError(
        'STORE_IN_USE',
        `The store in "${directory}" is used by ${owner === self ? 'this process' : owner}.`,
      )
    }
    const kept = facts.get(WORKER_ID) ?? randomUUID()
    facts.put(OWNER, self)
    facts.put(WORKER_ID, kept)
    return kept
  })
  const stay = (): void => void facts.get(OWNER)
  stay()
  return { workerId, stay, release: () => root.transactionSync(() => facts.remove(OWNER)) }
}

/** Lines of the list after its heading; one of them is this process. */
function readers(list: string): number {
  return list.split('\n').filter((line) => /^\s*\d+\s/.test(line)).length
}
