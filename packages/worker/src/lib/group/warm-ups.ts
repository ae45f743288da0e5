import type { Consumer, Logger } from '@millrace/core'
import type { Standbys } from '../tasks/standbys.ts'
import type { GroupData } from './group-data.ts'
import type { WarmUpData } from './member-data.ts'

export interface WarmUpsDeps {
  /** `acceptableRecoveryLag`. */
  readonly acceptableLag: number
  /** `maxWarmUps`. */
  readonly most: number
  readonly standbys: Pick<Standbys, 'caughtUp'>
  readonly consumer: Pick<Consumer, 'rejoin'>
  readonly log: Logger
}

/**
 * Asks the group for a rebalance when the copy of a task that is to come here has caught up. Only for what the group's
 * leader has not been told yet: if it leaves the task where it is nevertheless, asking again would change nothing.
 */
export class WarmUps {
  readonly #deps: WarmUpsDeps
  #tasks: readonly string[] = []
  #told: ReadonlySet<string> = new Set()
  #hasAsked = false

  constructor(deps: WarmUpsDeps) {
    this.#deps = deps
  }

  /** Tasks that are to come here and have not come. */
  get waiting(): number {
    return this.#tasks.length
  }

  /** For a join: what has caught up is told with it. */
  tell(): WarmUpData {
    const { acceptableLag, most, standbys } = this.#deps
    this.#told = new Set(standbys.caughtUp)
    return { acceptableLag, most, caughtUp: [...this.#told] }
  }

  /** The tasks that are to come here, from now on. */
  assign(tasks: readonly string[]): void {
    this.#tasks = tasks
    this.#hasAsked = false
    this.look()
  }

  /** Copies may have caught up. */
  look(): void {
    const { standbys, consumer, log } = this.#deps
    const tasks = this.#tasks.filter((task) => standbys.caughtUp.has(task) && !this.#told.has(task))
    if (tasks.length === 0 || this.#hasAsked) return
    this.#hasAsked = true
    log.info(
      { tasks },
      'Warm copies here have caught up: the group is asked for a rebalance in which their tasks come here.',
    )
    consumer.rejoin()
  }
}

/** The tasks that the group's leader wants to come to this worker once it has copies of their state. */
export function warmUpsFor(
  self: string,
  { owners, warmUps }: Pick<GroupData, 'owners' | 'warmUps'>,
): readonly string[] {
  return [...warmUps].flatMap(([task, to]) => (to === self && owners.get(task)?.member !== self ? [task] : []))
}
