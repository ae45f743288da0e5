import { withinLimit } from '@millrace/core'
import type { Candidate, Leadership } from '../contracts/group.ts'
import type { Lease } from '../environment/lease.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { Task } from '../task/task.ts'
import { leaderTopic } from '../topics/declared-topology.ts'
import type { WorkerMember } from './worker-member.ts'

export interface ElectionsOptions {
  readonly lease: Lease
  readonly member: Pick<WorkerMember, 'group'>
  readonly candidates: readonly Candidate[]
}

/** Notifies candidates when this worker leads the group, which it does while it runs the task with the leader topic. */
export class Elections {
  readonly #environment: Pick<WorkerEnvironment, 'appId' | 'clock' | 'settings' | 'transport'>
  readonly #options: ElectionsOptions

  constructor(
    environment: Pick<WorkerEnvironment, 'appId' | 'clock' | 'settings' | 'transport'>,
    options: ElectionsOptions,
  ) {
    this.#environment = environment
    this.#options = options
  }

  /** Whether this is the task whose owner leads the group. */
  isLeaderTask(task: Task): boolean {
    const topic = leaderTopic(this.#environment.appId)
    return task.assigned.some((partition) => partition.topic === topic && partition.partition === 0)
  }

  /** Called when a task has begun to run here. */
  running(task: Task): void {
    if (!this.isLeaderTask(task)) return
    const { lease, member, candidates } = this.#options
    const { transport, appId, settings } = this.#environment
    const { signal } = task
    const leadership: Leadership = {
      signal,
      groupLife: member.group.life ?? '',
      check() {
        signal.throwIfAborted()
        lease.check()
      },
      confirm: () => this.#confirm(signal),
      producer: () =>
        transport.transactionalProducer({ id: leaderTopic(appId), timeoutMs: settings.transactionTimeoutMs }),
    }
    for (const candidate of candidates) candidate.elected(leadership)
  }

  /** Returns false if the candidates took longer than the limit. */
  async resign(limitMs: number): Promise<boolean> {
    const { candidates } = this.#options
    if (candidates.length === 0) return true
    return withinLimit(this.#environment.clock, limitMs, Promise.all(candidates.map((candidate) => candidate.resign())))
  }

  async #confirm(signal: AbortSignal): Promise<void> {
    const { clock, settings, transport } = this.#environment
    signal.throwIfAborted()
    // Without sessions members are never removed for silence, so the partition cannot belong to another one.
    if (!transport.capabilities.sessions) return
    const calledMs = clock.monotonic()
    while (this.#options.lease.lastHeartbeatMs < calledMs) await clock.sleep(settings.heartbeatIntervalMs / 4, signal)
  }
}
