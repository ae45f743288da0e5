import type { HoldReason, PausedStats, WorkerContext } from '@millrace/worker'

/** A pause of an agent, on all workers. */
export interface AgentPause {
  /** Wall time. */
  readonly sinceMs: number
  /** Who has paused it. */
  readonly by?: string | undefined
  readonly why?: string | undefined
}

/** Whether an agent gets events on this worker: not while it is paused, nor while its circuit is open. */
export class AgentHold {
  readonly #agent: string
  readonly #worker: Pick<WorkerContext, 'hold'>
  readonly #reasons = new Set<HoldReason>()
  readonly #channels: (() => void)[] = []
  #pause: AgentPause | undefined

  constructor(agent: string, worker: Pick<WorkerContext, 'hold'>) {
    this.#agent = agent
    this.#worker = worker
  }

  get isHeld(): boolean {
    return this.#reasons.size > 0
  }

  /** `undefined` while it is not paused. */
  get pause(): AgentPause | undefined {
    return this.#pause
  }

  get pausedStats(): PausedStats | undefined {
    if (this.#pause === undefined) return undefined
    const { sinceMs, by, why } = this.#pause
    const since = new Date(sinceMs).toISOString()
    return { since, ...(by === undefined ? {} : { by }), ...(why === undefined ? {} : { why }) }
  }

  setPause(pause: AgentPause | undefined): void {
    this.#pause = pause
    this.set('paused', pause !== undefined)
  }

  set(reason: HoldReason, on: boolean): void {
    if (on === this.#reasons.has(reason)) return
    if (on) this.#reasons.add(reason)
    else this.#reasons.delete(reason)
    this.#worker.hold(this.#agent, reason, on)
    for (const changed of this.#channels) changed()
  }

  /** Calls `changed` at each change: the worker does not know channels. */
  watch(changed: () => void): void {
    this.#channels.push(changed)
  }
}
