import { MillraceError } from '@millrace/core'
import type { PauseNote } from './pauses/pause.ts'
import type { SchedulerPart } from './scheduler-part.ts'

/** The agents of an app, on the workers of this process. */
export class AppAgents {
  readonly #parts: () => readonly SchedulerPart[]

  constructor(parts: () => readonly SchedulerPart[]) {
    this.#parts = parts
  }

  /**
   * Hands out no more events to an agent, on every worker of the app and across restarts, until `resume`. Events in
   * flight are finished, and the agent keeps its position. Resolves once the pause is stored; other workers follow within
   * moments. `note`: who pauses it, and why; shown in `/stats` and on the page.
   *
   * @throws `NO_WORKER`, `AGENT_MISSING`, `CLOSED`
   * @example
   * await app.agents.pause('charge', { why: 'The payment service is being moved' })
   */
  async pause(agent: string, note?: PauseNote): Promise<void> {
    await this.#first(agent, 'paused').pauseAgent(agent, note)
  }

  /** Lets the agent go on where it has stopped. Throws as `pause` does. */
  async resume(agent: string): Promise<void> {
    await this.#first(agent, 'resumed').resumeAgent(agent)
  }

  #first(agent: string, verb: string): SchedulerPart {
    const [part] = this.#parts()
    if (part !== undefined) return part
    throw new MillraceError('NO_WORKER', `Agent "${agent}" was ${verb} in a process that runs no worker.`)
  }
}
