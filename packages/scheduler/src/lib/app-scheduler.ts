import { isMillraceError, MillraceError } from '@millrace/core'
import type { JobView, RunOutcome } from '@millrace/core/operations'
import type { PauseNote } from './pauses/pause.ts'
import type { SchedulerPart } from './scheduler-part.ts'

/** The jobs of an app on the workers of this process. */
export class AppScheduler {
  readonly #parts: () => readonly SchedulerPart[]

  constructor(parts: () => readonly SchedulerPart[]) {
    this.#parts = parts
  }

  /** Next and last run, counts and errors of each job, on the first worker of this process; empty if no worker runs. */
  jobs(): readonly JobView[] {
    return this.#parts()[0]?.jobs() ?? []
  }

  /**
   * Runs a job now; `overlap` applies. A leader's job runs on the worker of this process that leads.
   *
   * @throws `NO_WORKER`, `JOB_MISSING`; `NOT_LEADER` if the leader is in another process
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

  /**
   * Skips the job's slots from now on, on every worker of the app and across restarts; a run in progress continues.
   * Resolves once the pause is stored. `note`: who pauses it, and why.
   *
   * @throws `NO_WORKER`, `JOB_MISSING`, `CLOSED`
   */
  async pause(name: string, note?: PauseNote): Promise<void> {
    await this.#first(name, 'paused').pause(name, note)
  }

  /** Ends a pause; slots skipped in it are not caught up. Throws as `pause` does. */
  async resume(name: string): Promise<void> {
    await this.#first(name, 'resumed').resume(name)
  }

  #first(name: string, verb: string): SchedulerPart {
    const [part] = this.#parts()
    if (part === undefined)
      throw new MillraceError('NO_WORKER', `Job "${name}" was ${verb} in a process that runs no worker.`)
    return part
  }
}
