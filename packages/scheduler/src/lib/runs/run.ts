import { type Deferred, deferred } from '@millrace/core'
import type { LastRun, RunOutcome } from '@millrace/core/operations'

/** Where a leader stores its runs, so that the next leader knows of them. */
export interface RunRegistry {
  /** Called before the body. False if another worker has run it. Rejects if this worker no longer leads. */
  claim(job: string, slotMs: number): Promise<boolean>
  /** The run is over and will not run again. */
  finish(job: string, over: FinishedRun): Promise<void>
}

export interface FinishedRun {
  readonly slotMs: number
  /** Every slot up to this one has been handled. */
  readonly cursorMs: number
  readonly last: LastRun
}

/** One run of a job, from its slot to its end. */
export class Run {
  readonly slotMs: number
  /** `undefined`: no other worker needs to know of it. */
  readonly registry: RunRegistry | undefined
  readonly delayMs: number
  readonly abort: AbortController = new AbortController()
  readonly over: Deferred<RunOutcome> = deferred<RunOutcome>()
  /** A later run replaces it: it counts as over, however it ends. */
  superseded = false
  timedOut = false

  constructor({ slotMs, registry, delayMs }: Pick<Run, 'slotMs' | 'registry' | 'delayMs'>) {
    this.slotMs = slotMs
    this.registry = registry
    this.delayMs = delayMs
  }

  get slot(): Date {
    return new Date(this.slotMs)
  }

  end(result: RunOutcome['result'], error?: Error): void {
    this.over.resolve({ slot: this.slot, result, error })
  }
}
