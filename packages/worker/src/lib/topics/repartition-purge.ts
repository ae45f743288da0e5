import { isMillraceError, partitionKey, type Scheduled, toError } from '@millrace/core'
import type { Admin } from '@millrace/core/driver'
import type { Lease } from '../environment/lease.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import { planPurge, type PurgeSource } from './plan-purge.ts'

/** How often the log names a purge that keeps failing. */
const REPORT_INTERVAL_MS = 3_600_000

export interface PurgeOptions {
  readonly admin: Pick<Admin, 'deleteRecords'>
  /** Partitions of repartition topics that belong to tasks of this worker. */
  readonly sources: () => readonly PurgeSource[]
}

/**
 * Deletes what has been read of repartition topics: they are made to keep everything, so that a slow worker or a reset
 * with old events loses nothing, and would grow for ever. One request for all of the worker's partitions, now and then,
 * and only while commits move. What goes wrong costs room on the broker and nothing else, so it is reported and tried
 * again.
 */
export class RepartitionPurge {
  readonly #environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>
  readonly #lease: Pick<Lease, 'check'>
  readonly #options: PurgeOptions
  #purged: ReadonlyMap<string, number> = new Map()
  #timer: Scheduled | undefined
  #purging = false
  #reportedMs = -Infinity
  #closed = false

  constructor(
    environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>,
    lease: Pick<Lease, 'check'>,
    options: PurgeOptions,
  ) {
    this.#environment = environment
    this.#lease = lease
    this.#options = options
  }

  /** Something was committed, or a task has begun to run. */
  readonly start = (): void => {
    const { clock, settings } = this.#environment
    const intervalMs = settings.repartitionPurgeIntervalMs
    if (intervalMs <= 0 || this.#timer !== undefined || this.#purging || this.#closed) return
    if (planPurge(this.#options.sources(), this.#purged).length === 0) return
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
    const { log } = this.#environment
    const here = this.#options.sources()
    const before = planPurge(here, this.#purged)
    if (before.length === 0) return
    this.#purging = true
    try {
      // Guarded: a worker that has slept must not delete by its old offsets in topics that a reset has made anew meanwhile.
      await this.#options.admin.deleteRecords(before, { guard: this.#lease.check })
      const kept = new Set(here.map(partitionKey))
      const moved = before.map((position) => [partitionKey(position), position.offset] as const)
      this.#purged = new Map([...[...this.#purged].filter(([key]) => kept.has(key)), ...moved])
      this.#reportedMs = -Infinity
      log.debug({ partitions: before.length }, 'What was read of repartition topics is deleted.')
    } catch (thrown) {
      this.#report(toError(thrown), [...new Set(before.map(({ topic }) => topic))])
    } finally {
      this.#purging = false
    }
    this.start()
  }

  #report(error: Error, topics: readonly string[]): void {
    const { clock, log } = this.#environment
    const nowMs = clock.monotonic()
    const passes = isMillraceError(error, 'CLOSED', 'LEASE_EXPIRED')
    if (passes || nowMs - this.#reportedMs < REPORT_INTERVAL_MS) {
      log.debug({ error: error.message }, 'What was read of repartition topics was not deleted.')
      return
    }
    this.#reportedMs = nowMs
    const remedy = isMillraceError(error, 'NOT_AUTHORIZED')
      ? ' Allow the app Delete on them, or set repartitionPurgeInterval to 0 and retention.ms on them.'
      : ''
    log.warn(
      { topics, error: error.message },
      `What was read of ${topics.join(', ')} could not be deleted, and takes room until it can.${remedy}`,
    )
  }
}
