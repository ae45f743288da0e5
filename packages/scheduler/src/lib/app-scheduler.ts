import { isMillraceError, MillraceError } from '@millrace/core'
import type { JobView, RunOutcome } from '@millrace/core/operations'
import type { SchedulerPart } from './scheduler-part.ts'

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

  /**
   * Slots are skipped from now on, on every worker of the app and over restarts; a run under way goes on. Resolves when
   * that is written down.
   *
   * @throws `NO_WORKER`, `JOB_MISSING`, `CLOSED`
   */
  async pause(name: string): Promise<void> {
    await this.#first(name, 'paused').pause(name)
  }

  /** The other way round; what was skipped meanwhile is not caught up. Throws as `pause` does. */
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
