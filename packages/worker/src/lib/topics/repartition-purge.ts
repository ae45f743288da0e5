import {
  type Admin,
  type Clock,
  isMillraceError,
  type Logger,
  partitionKey,
  type Scheduled,
  toError,
} from '@millrace/core'
import type { Lease } from '../group/lease.ts'
import { planPurge, type PurgeSource } from './plan-purge.ts'

/** A purge that keeps failing is told of so often. */
const TELL_INTERVAL_MS = 3_600_000

export interface RepartitionPurgeDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly lease: Pick<Lease, 'check'>
  /** From one request to the next; 0: never. */
  readonly intervalMs: number
  /** Partitions of repartition topics that belong to tasks of this worker. */
  readonly sources: () => readonly PurgeSource[]
  readonly deleteRecords: Admin['deleteRecords']
}

/**
 * Deletes what has been read of repartition topics: they are made to keep everything, so that a slow worker or a reset
 * with old events loses nothing, and would grow for ever. One request for all of the worker's partitions, now and then,
 * and only while commits move. What goes wrong costs room on the broker and nothing else, so it is told and tried again.
 */
export class RepartitionPurge {
  readonly #deps: RepartitionPurgeDeps
  #purged: ReadonlyMap<string, number> = new Map()
  #timer: Scheduled | undefined
  #purging = false
  #toldMs = -Infinity
  #closed = false

  constructor(deps: RepartitionPurgeDeps) {
    this.#deps = deps
  }

  /** Something was committed, or a task has begun to run. */
  readonly start = (): void => {
    const { clock, intervalMs, sources } = this.#deps
    if (intervalMs <= 0 || this.#timer !== undefined || this.#purging || this.#closed) return
    if (planPurge(sources(), this.#purged).length === 0) return
    this.#timer = clock.schedule(intervalMs, () => {
      this.#timer = undefined
      void this.#purge()
    })
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  async #purge(): Promise<void> {
    const { sources, deleteRecords, lease, log } = this.#deps
    const here = sources()
    const before = planPurge(here, this.#purged)
    if (before.length === 0) return
    this.#purging = true
    try {
      // Guarded: a worker that has slept must not delete by its old offsets in topics that a reset has made anew meanwhile.
      await deleteRecords(before, { guard: lease.check })
      const kept = new Set(here.map(partitionKey))
      const moved = before.map((position) => [partitionKey(position), position.offset] as const)
      this.#purged = new Map([...[...this.#purged].filter(([key]) => kept.has(key)), ...moved])
      this.#toldMs = -Infinity
      log.debug({ partitions: before.length }, 'What was read of repartition topics is deleted.')
    } catch (thrown) {
      this.#tell(toError(thrown), [...new Set(before.map(({ topic }) => topic))])
    } finally {
      this.#purging = false
    }
    this.start()
  }

  #tell(error: Error, topics: readonly string[]): void {
    const { clock, log } = this.#deps
    const nowMs = clock.monotonic()
    const passes = isMillraceError(error, 'CLOSED', 'LEASE_EXPIRED')
    if (passes || nowMs - this.#toldMs < TELL_INTERVAL_MS) {
      log.debug({ error: error.message }, 'What was read of repartition topics was not deleted.')
      return
    }
    this.#toldMs = nowMs
    const remedy = isMillraceError(error, 'NOT_AUTHORIZED')
      ? ' Allow the app Delete on them, or set repartitionPurgeInterval to 0 and retention.ms on them.'
      : ''
    log.warn(
      { topics, error: error.message },
      `What was read of ${topics.join(', ')} could not be deleted, and takes room until it can.${remedy}`,
    )
  }
}
