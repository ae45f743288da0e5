import { type CommitOffset, isMillraceError, MillraceError, partitionKey, type TopicPartition } from '@millrace/core'
import type { AssignmentChange } from '@millrace/core/driver'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { Worker } from '@millrace/worker'
import type { Revoking, SimulatedProcess } from './simulated-process.ts'

/** The time that the simulation itself may add to a stop, by holding one await after another. */
const STOP_SLACK_MS = 5_000

/** How long sends may be at their bound: the time of several slow requests in a row. */
const FULL_LIMIT_MS = 8_000
/** More rebalances than the faults of a run can cause in such a short time. */
const MOST_REBALANCES = 25
const REBALANCES_WITHIN_MS = 2_000

/** How long a rebalance waits for the events of a stopping worker (decision 090). */
const HAND_OVER_MS = 1_000

/** The time of a commit in a rebalance: several slow requests in a row. */
const REVOKE_SLACK_MS = 6_000

/** Invariants that must hold at all times, whatever the app does. Keeps the first violation. */
export class Invariants {
  readonly #log: MemoryLog
  readonly #groupId: string
  readonly #watch: (log: MemoryLog) => void
  readonly #committed = new Map<string, number>()
  /** Since when sends of a process are at their bound. */
  readonly #fullSinceMs = new Map<SimulatedProcess, number>()
  /** Rebalances that wait for a process, and since when nothing has been in its way. */
  readonly #revokingSinceMs = new WeakMap<Revoking, number>()
  #version = -1
  #violation: string | undefined
  /** Generations of the last seconds, and when they began. */
  #generations: { readonly generation: number; readonly nowMs: number }[] = []

  /** `watch`: throws if the log has become wrong, as the app sees it. */
  constructor(log: MemoryLog, groupId: string, watch: (log: MemoryLog) => void = () => {}) {
    this.#log = log
    this.#groupId = groupId
    this.#watch = watch
  }

  /** Checks that a worker that fences earlier owners surely owns the task. */
  initialising(process: SimulatedProcess, transactionalId: string): void {
    const { name, heartbeats, sessionMs, unheardMs } = process
    if (unheardMs >= sessionMs)
      this.#broken(`${name} initialises ${transactionalId} ${unheardMs} ms after its last heartbeat, without a lease`)
    if (heartbeats.lastMs < process.fencedMs(transactionalId))
      this.#broken(
        `${name} initialises ${transactionalId} again, not heard of by the group since it was shut out itself`,
      )
  }

  /**
   * Checks that a member that has missed a generation keeps nothing, because others may have had its partitions in it.
   */
  assigned({ name }: SimulatedProcess, before: number, { generation, kept }: AssignmentChange): void {
    if (before < 0 || generation <= before + 1 || kept.length === 0) return
    this.#broken(`${name} keeps ${kept.map(partitionKey).join(', ')} from generation ${before} in ${generation}`)
  }

  /** A group that rebalances without end drains its workers without end. */
  rebalanced(generation: number, nowMs: number): void {
    this.#generations = [
      ...this.#generations.filter((one) => one.nowMs > nowMs - REBALANCES_WITHIN_MS),
      { generation, nowMs },
    ]
    const count = generation - (this.#generations[0]?.generation ?? generation)
    if (count > MOST_REBALANCES) this.#broken(`the group has rebalanced ${count} times in ${REBALANCES_WITHIN_MS} ms`)
  }

  /** A stranger in the group was given something. */
  given(partitions: readonly TopicPartition[], data: string): void {
    this.#broken(`a member with the data ${JSON.stringify(data)} was given ${partitions.map(partitionKey).join(', ')}`)
  }

  /** Checks how workers end. A stop must not wait for anything beyond its time-out. */
  endings(processes: readonly SimulatedProcess[]): void {
    for (const { name, state, store, stoppingMs, release } of processes) {
      const { shutdownTimeoutMs } = release.runtime.surroundings.settings
      if (stoppingMs > shutdownTimeoutMs + STOP_SLACK_MS)
        this.#broken(`${name} has been stopping for ${stoppingMs} ms; shutdownTimeout is ${shutdownTimeoutMs} ms`)
      if (state !== 'stopped' || store.leftOpen.length === 0) continue
      const open = store.leftOpen.map(({ table, partition }) => `${table}/${partition}`)
      this.#broken(`${name} has stopped and left stores open: ${open.join(', ')}`)
    }
  }

  /**
   * Checks that a worker may send records. No broker refuses them from a worker that has lost its tasks; only its own
   * lease holds them back.
   */
  sending({ name, heartbeats, sessionMs, unheardMs }: SimulatedProcess): void {
    if (heartbeats.lastMs !== -Infinity && unheardMs >= sessionMs)
      this.#broken(`${name} sends records ${unheardMs} ms after its last heartbeat, without a lease`)
  }

  /**
   * Checks that a partition that accepts no records holds up only tasks that need it: their sends must not fill the
   * shared budget.
   */
  crowded(processes: readonly SimulatedProcess[], stuckSinceMs: number | undefined, nowMs: number): void {
    if (stuckSinceMs === undefined) return this.#fullSinceMs.clear()
    for (const process of processes) {
      const { name, worker, state, stalled, frozen } = process
      const full = state === 'running' && !stalled && !frozen && worker?.stats().pendingSends.full === true
      if (!full) {
        this.#fullSinceMs.delete(process)
        continue
      }
      const sinceMs = this.#fullSinceMs.get(process) ?? nowMs
      this.#fullSinceMs.set(process, sinceMs)
      if (nowMs - sinceMs > FULL_LIMIT_MS)
        this.#broken(`${name} hands out nothing for ${nowMs - sinceMs} ms, since sends fill maxPendingSendBytes`)
    }
  }

  /**
   * Checks how long a rebalance waits for a worker: no longer than its events in flight may take, plus a commit, and
   * not for the events of a stopping one.
   */
  revoking(processes: readonly SimulatedProcess[], stuckSinceMs: number | undefined, nowMs: number): void {
    for (const process of processes) {
      const { name, revoking, stalled, frozen, over, heartbeats, release } = process
      const excused = stuckSinceMs !== undefined || stalled || frozen || heartbeats.silent
      if (revoking === undefined) continue
      const sinceMs = over || excused ? nowMs : (this.#revokingSinceMs.get(revoking) ?? nowMs)
      this.#revokingSinceMs.set(revoking, sinceMs)
      const { drainTimeoutMs } = release.runtime.surroundings.settings
      const mostMs = (revoking.as === 'stopping' ? HAND_OVER_MS : drainTimeoutMs) + REVOKE_SLACK_MS
      if (nowMs - sinceMs > mostMs)
        this.#broken(`a rebalance has waited ${nowMs - sinceMs} ms for ${name}, which was ${revoking.as}`)
    }
  }

  /** Throws the first violation, or the failure of a worker, because no worker may fail in a simulation. */
  mustHold(processes: readonly SimulatedProcess[]): void {
    if (this.#violation !== undefined) throw new MillraceError('SIMULATION_FAILED', `${this.#violation}.`)
    // Its topic has more partitions now, so it is to be restarted.
    const failed = processes.find(
      ({ state, failure }) => state === 'failed' && !isMillraceError(failure, 'PARTITIONS_CHANGED'),
    )
    if (failed !== undefined)
      throw new MillraceError(
        'SIMULATION_FAILED',
        `Worker ${failed.name} has failed: ${failed.failure?.message ?? 'no reason'}`,
        { cause: failed.failure },
      )
  }

  /** Checks offsets about to be committed: all agents must have finished everything before them. */
  committing(
    { name, worker }: { readonly name: string; readonly worker: Worker | undefined },
    offsets: readonly CommitOffset[],
  ): void {
    const finished = new Map((worker?.quiet().finished ?? []).map((one) => [partitionKey(one), one.offset]))
    for (const { topic, partition, offset } of offsets) {
      const most = finished.get(partitionKey({ topic, partition }))
      if (most !== undefined && offset > most)
        this.#broken(`${name} commits ${topic}-${partition}@${offset}, but events are finished up to ${most} only`)
    }
  }

  /** Called after each step. */
  look(): void {
    if (this.#log.version === this.#version) return
    this.#version = this.#log.version
    this.#watch(this.#log)
    for (const { topic, partition, offset } of this.#log.committed(this.#groupId)) {
      const key = partitionKey({ topic, partition })
      const before = this.#committed.get(key) ?? 0
      if (offset < before)
        this.#broken(`the committed offset of ${topic}-${partition} went back from ${before} to ${offset}`)
      const end = endOf(this.#log, topic, partition)
      if (offset > end)
        this.#broken(`the committed offset ${offset} of ${topic}-${partition} lies beyond its end, ${end}`)
      this.#committed.set(key, offset)
    }
  }

  /** At rest, each table of an owner equals its changelog. */
  tables(processes: readonly SimulatedProcess[]): void {
    for (const { name, store } of processes) {
      for (const { table, partition, rows } of store.opened) {
        const topic = `${this.#groupId}-${table}-changelog`
        const told = new Map<string, string>()
        for (const { partition: of, key, value } of this.#log.records(topic)) {
          if (of !== partition || key === null) continue
          if (value === null) told.delete(key.toString('latin1'))
          else told.set(key.toString('latin1'), value.toString('latin1'))
        }
        const here = new Map([...rows].map(([key, [, value]]) => [key, value.toString('latin1')]))
        for (const key of new Set([...told.keys(), ...here.keys()])) {
          if (told.get(key) === here.get(key)) continue
          const says = `changelog ${told.get(key) ?? 'nothing'}, store ${here.get(key) ?? 'nothing'}`
          this.#broken(`row ${JSON.stringify(key)} of ${table} partition ${partition} on ${name}: ${says}`)
        }
      }
    }
  }

  #broken(what: string): void {
    this.#violation ??= what
  }
}

/** The end of a partition's log; 0 where there is none. */
export function endOf(log: MemoryLog, topic: string, partition: number): number {
  return log.backend.read((reads) => {
    const stored = reads.topic(topic)
    return stored === undefined ? 0 : reads.bounds(stored, partition).end
  })
}
