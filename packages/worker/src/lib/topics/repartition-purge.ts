import { isMillraceError, partitionKey, type Scheduled, toError } from '@millrace/core'
import type { Admin } from '@millrace/core/driver'
import type { Lease } from '../environment/lease.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import { planPurge, type PurgeSource } from './plan-purge.ts'

/** How often a purge that keeps failing is logged. */
const REPORT_INTERVAL_MS = 3_600_000

export interface PurgeOptions {
  readonly admin: Pick<Admin, 'deleteRecords'>
  /** Partitions of repartition topics that belong to tasks of this worker. */
  readonly sources: () => readonly PurgeSource[]
}

/**
 * Deletes records of repartition topics that have been read. These topics keep everything, so that a slow worker or a
 * reset with old events loses nothing, and would otherwise grow without end. One request covers all of the worker's
 * partitions, from time to time, and only while commits advance. A failure only costs disk space on the broker, so it
 * is logged and retried.
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

  /** Called when something was committed, or a task has begun to run. */
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
      // Guarded, because a worker that was suspended must not delete by its old offsets in topics that a reset has
      // recreated meanwhile.
      await this.#options.admin.deleteRecords(before, { guard: this.#lease.check })
      const kept = new Set(here.map(partitionKey))
      const moved = before.map((position) => [partitionKey(position), position.offset] as const)
      this.#purged = new Map([...[...this.#purged].filter(([key]) => kept.has(key)), ...moved])
      this.#reportedMs = -Infinity
      log.debug({ partitions: before.length }, 'Records of repartition topics that were read have been deleted.')
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
      log.debug({ error: error.message }, 'Records of repartition topics that were read could not be deleted.')
      return
    }
    this.#reportedMs = nowMs
    const remedy = isMillraceError(error, 'NOT_AUTHORIZED')
      ? ' Grant the app the right Delete on them, or set repartitionPurgeInterval to 0 and retention.ms on them.'
      : ''
    log.warn(
      { topics, error: error.message },
      `Records of ${topics.join(', ')} that were read could not be deleted, and take disk space until they can.${remedy}`,
    )
  }
}
