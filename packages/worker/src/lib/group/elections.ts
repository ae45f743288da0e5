import {
  type Candidate,
  type Clock,
  type Leadership,
  raceAbort,
  type TransactionalProducer,
  type Transport,
} from '@millrace/core'
import type { TaskRuntime } from '../tasks/task-runtime.ts'
import { withinLimit } from '../worker/within-limit.ts'
import type { Lease } from './lease.ts'

/** Stands for the readers of the leader topic, of which there are none. */
export const LEADER_AGENT = '__leader'

/** Who owns its single partition leads the group. Nothing is ever written to it. */
export function leaderTopic(appId: string): string {
  return `${appId}-__assignor-__leader`
}

export interface ElectionsDeps {
  readonly appId: string
  readonly clock: Clock
  readonly lease: Lease
  readonly transport: Pick<Transport, 'transactionalProducer' | 'capabilities'>
  readonly settings: { readonly heartbeatIntervalMs: number; readonly transactionTimeoutMs: number }
  readonly lastHeartbeatMs: () => number
  /** `GroupData.life`. */
  readonly groupLife: () => string
  readonly candidates: () => readonly Candidate[]
}

/** Tells candidates when this worker leads the group: when it runs the task with the leader topic in it. */
export class Elections {
  readonly #deps: ElectionsDeps

  constructor(deps: ElectionsDeps) {
    this.#deps = deps
  }

  /** A task has begun to run here. */
  running(task: TaskRuntime): void {
    const { appId, candidates, groupLife } = this.#deps
    const topic = leaderTopic(appId)
    if (!task.assigned.some((partition) => partition.topic === topic && partition.partition === 0)) return
    const leadership: Leadership = {
      signal: task.signal,
      groupLife: groupLife(),
      check: () => this.#check(task),
      confirm: () => this.#confirm(task),
      producer: () => this.#producer(),
    }
    for (const candidate of candidates()) candidate.elected(leadership)
  }

  /** False when the candidates took longer than that. */
  async resign(limitMs: number): Promise<boolean> {
    const candidates = this.#deps.candidates()
    if (candidates.length === 0) return true
    return withinLimit(this.#deps.clock, limitMs, Promise.all(candidates.map((candidate) => candidate.resign())))
  }

  #check(task: TaskRuntime): void {
    task.signal.throwIfAborted()
    this.#deps.lease.check()
  }

  async #confirm(task: TaskRuntime): Promise<void> {
    const { clock, settings, transport, lastHeartbeatMs } = this.#deps
    task.signal.throwIfAborted()
    // Where members are never thrown out the partition cannot be somebody else's.
    if (!transport.capabilities.sessions) return
    const calledMs = clock.monotonic()
    while (lastHeartbeatMs() < calledMs)
      await raceAbort(clock.sleep(settings.heartbeatIntervalMs / 4, task.signal), task.signal)
  }

  #producer(): TransactionalProducer {
    const { transport, appId, settings } = this.#deps
    return transport.transactionalProducer({ id: leaderTopic(appId), timeoutMs: settings.transactionTimeoutMs })
  }
}
