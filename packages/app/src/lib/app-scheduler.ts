import { isMillraceError, MillraceError } from '@millrace/core'
import type { JobView, RunOutcome, SchedulerPart } from '@millrace/scheduler'

/** The jobs of an app on the workers of this process. */
export class AppScheduler {
  readonly #parts: () => readonly SchedulerPart[]

  constructor(parts: () => readonly SchedulerPart[]) {
    this.#parts = parts
  }

  /** Next and last run, counts and errors of each job, on the first worker of this process; empty when none runs. */
  jobs(): readonly JobView[] {
    return this.#parts()[0]?.jobs() ?? []
  }

  /**
   * Runs a job now; `overlap` holds. A job of the leader runs on whichever worker of this process leads.
   *
   * @throws `NO_WORKER`, `JOB_MISSING`; `NOT_LEADER` when the leader is in another process
   */
  async trigger(name: string): Promise<RunOutcome> {
    let refusal: unknown = new MillraceError(
      'NO_WORKER',
      `Job "${name}" was triggered in a process that runs no worker.`,
    )
    for (const part of this.#parts()) {
      try {
        return await part.trigger(name)
      } catch (error) {
        if (!isMillraceError(error, 'NOT_LEADER')) throw error
        refusal = error
      }
    }
    throw refusal
  }

  /** Slots are skipped from now on, on the workers of this process; a run under way goes on. Throws `JOB_MISSING`. */
  pause(name: string): void {
    for (const part of this.#parts()) part.pause(name)
  }

  /** Throws `JOB_MISSING`. */
  resume(name: string): void {
    for (const part of this.#parts()) part.resume(name)
  }
}
