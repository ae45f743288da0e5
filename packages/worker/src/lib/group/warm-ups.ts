import type { Clock, Consumer, Logger, Scheduled } from '@millrace/core'
import type { Standbys } from '../restore/standbys.ts'
import type { GroupData } from './group-data.ts'
import type { WarmUpData } from './member-data.ts'

/** What has caught up waits so long for the others, to move in one rebalance with them. */
const PATIENCE_MS = 10_000

export interface WarmUpsDeps {
  readonly clock: Clock
  /** `acceptableRecoveryLag`. */
  readonly acceptableLag: number
  /** `maxWarmUps`. */
  readonly most: number
  readonly standbys: Pick<Standbys, 'caughtUp'>
  readonly consumer: Pick<Consumer, 'rejoin'>
  readonly log: Logger
}

/**
 * Asks the group for a rebalance when the copies of the tasks that are to come here have caught up, or some have and the
 * others take long. Only for what the group's
 * leader has not been told yet: if it leaves the task where it is nevertheless, asking again would change nothing.
 */
export class WarmUps {
  readonly #deps: WarmUpsDeps
  #tasks: readonly string[] = []
  #told: ReadonlySet<string> = new Set()
  #hasAsked = false
  #patience: Scheduled | undefined

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
    this.#stopWaiting()
    this.look()
  }

  /** Copies may have caught up. */
  look(): void {
    if (this.#hasAsked || this.#ready().length === 0) return
    const { clock, standbys } = this.#deps
    if (this.#tasks.every((task) => standbys.caughtUp.has(task))) this.#ask()
    else this.#patience ??= clock.schedule(PATIENCE_MS, () => this.#ask())
  }

  /** Caught up, and the leader does not know. */
  #ready(): readonly string[] {
    const { caughtUp } = this.#deps.standbys
    return this.#tasks.filter((task) => caughtUp.has(task) && !this.#told.has(task))
  }

  #ask(): void {
    const { consumer, log } = this.#deps
    const tasks = this.#ready()
    this.#stopWaiting()
    if (tasks.length === 0) return
    this.#hasAsked = true
    log.info(
      { tasks },
      'Warm copies here have caught up: the group is asked for a rebalance in which their tasks come here.',
    )
    consumer.rejoin()
  }

  #stopWaiting(): void {
    this.#patience?.cancel()
    this.#patience = undefined
  }
}

/** The tasks that the group's leader wants to come to this worker once it has copies of their state. */
export function warmUpsFor(
  self: string,
  { owners, warmUps }: Pick<GroupData, 'owners' | 'warmUps'>,
): readonly string[] {
  return [...warmUps].flatMap(([task, to]) => (to === self && owners.get(task)?.member !== self ? [task] : []))
}
