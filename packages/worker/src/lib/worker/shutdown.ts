import { isMillraceError, toError, whenAborted, withinLimit } from '@millrace/core'
import type { Task } from '../task/task.ts'
import type { GroupMember } from './group-member.ts'
import type { WorkerOptions } from './worker-options.ts'

/** How long a worker that fails still tries to commit what is finished. */
const LAST_COMMIT_MS = 5000
/**
 * After which rebalances no longer wait for this worker, and the group may have the tasks in which nothing is in flight.
 * Tasks that become free later go in further rebalances, each after twice as long: there are few of them, however many
 * tasks there are.
 */
const HAND_OVER_MS = 1000
/** Of the time for a stop, what events in flight leave for what comes after them: this share, and no more than that. */
const RESERVED_SHARE = 0.4
const MOST_RESERVED_MS = 8000

/** How a worker comes to its end. */
export type Ending = 'drained' | 'failed' | 'hard'

/** When the steps of a stop are over, on the monotonic clock, whatever hangs. What one does not use, the next ones have. */
export interface Deadlines {
  /** Events in flight, and jobs of the leader, are not waited for any longer. */
  readonly drainedMs: number
  /** The last commit is given up. */
  readonly committedMs: number
  /** The worker does not wait any longer for the group to let it go. */
  readonly leftMs: number
  /** Everything is closed, or left to close in the background. */
  readonly closedMs: number
}

/** For a stop that begins now and takes `totalMs` at the most. */
export function deadlinesOf(nowMs: number, totalMs: number): Deadlines {
  const reservedMs = Math.min(totalMs * RESERVED_SHARE, MOST_RESERVED_MS)
  const closedMs = nowMs + totalMs
  const before = (eighths: number): number => closedMs - (reservedMs * eighths) / 8
  return { drainedMs: before(8), committedMs: before(5), leftMs: before(3), closedMs }
}

export interface ShutdownOptions {
  readonly options: Pick<WorkerOptions, 'clock' | 'settings' | 'log' | 'parts'>
  readonly ending: Ending
  /** Aborts when nothing more is waited for. */
  readonly signal: AbortSignal
}

/**
 * The last work of a worker, within `shutdownTimeout` altogether. The time begins when this is made; each step is given
 * what is left of it until its deadline.
 */
export class Shutdown {
  readonly #options: ShutdownOptions['options']
  readonly #ending: Ending
  readonly #signal: AbortSignal
  readonly #deadlines: Deadlines

  constructor({ options, ending, signal }: ShutdownOptions) {
    this.#options = options
    this.#ending = ending
    this.#signal = signal
    this.#deadlines = deadlinesOf(options.clock.monotonic(), options.settings.shutdownTimeoutMs)
  }

  /** Lets events in flight finish, and commits what is finished. */
  async finishWork(member: GroupMember): Promise<void> {
    if (this.#signal.aborted) return
    const aborted = whenAborted(this.#signal)
    const work = this.#ending === 'drained' ? this.#drain(member, aborted) : this.#commitAll(member)
    await Promise.race([work, aborted])
  }

  async leave(member: GroupMember): Promise<void> {
    // Whoever fails may fail again: others have its partitions meanwhile.
    const leave = member.leavesOnStop || this.#ending === 'failed'
    await this.#quietly('leaving the group', member.consumer.close({ leave }), this.#until('leftMs'))
  }

  /** Stops them in reverse order. */
  async stopParts(): Promise<void> {
    for (const part of this.#options.parts.toReversed())
      await this.close(`stopping ${part.name}`, (signal) => part.stop(signal))
  }

  /**
   * What goes wrong, or does not come to an end, while the worker ends is reported and does not keep the rest from being
   * closed: each is given half of the time that is left, so that there is always some for the next. `signal` aborts when
   * it is not waited for any longer.
   */
  async close(what: string, work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const ending = new AbortController()
    await this.#quietly(what, work(ending.signal), this.#until('closedMs') / 2)
    ending.abort()
  }

  async #quietly(what: string, work: Promise<unknown>, limitMs: number): Promise<void> {
    const { clock, log } = this.#options
    try {
      if (!(await withinLimit(clock, limitMs, work)))
        log.warn({}, `The worker ends without waiting longer for ${what}.`)
    } catch (thrown) {
      const level = isMillraceError(thrown, 'CLOSED') ? 'debug' : 'warn'
      log[level]({ error: toError(thrown).message }, `Something went wrong while ${what}.`)
    }
  }

  #until(deadline: keyof Deadlines): number {
    return Math.max(this.#deadlines[deadline] - this.#options.clock.monotonic(), 0)
  }

  async #commitAll({ tasks }: GroupMember): Promise<void> {
    const limitMs = Math.min(this.#until('committedMs'), LAST_COMMIT_MS)
    await this.#quietly('committing what is finished', tasks.committer.commit(tasks.running), limitMs)
  }

  /**
   * Each task is committed when nothing of it is in flight any more. Tasks with an event that takes long hold up no
   * others: those go to other workers meanwhile.
   */
  async #drain(member: GroupMember, aborted: Promise<void>): Promise<void> {
    const { elections, tasks } = member
    const { running } = tasks
    const limitMs = this.#until('drainedMs')
    const resigned = elections.resign(limitMs)
    const drained = member.drain(limitMs)
    const commits = new Map<Task, Promise<void>>()
    const committed: Task[] = []
    const commit = (task: Task): void => {
      const done = tasks.committer.commit([task])
      commits.set(task, done)
      // Waited for below. One that has failed goes to no other worker before this one has left.
      void done.then(() => committed.push(task)).catch(() => undefined)
    }
    for (const task of running) {
      const idle = elections.isLeaderTask(task) ? Promise.all([task.whenIdle(), resigned]) : task.whenIdle()
      void idle.then(() => commit(task))
    }
    const whole = async (): Promise<void> => {
      const [isDrained, hasResigned] = await Promise.all([drained, resigned])
      if (this.#signal.aborted) return
      this.#warnOfUnfinished(member, { isDrained, hasResigned })
      for (const task of running) if (!commits.has(task)) commit(task)
      await this.#quietly('committing what is finished', Promise.all(commits.values()), this.#until('committedMs'))
    }
    const finished = whole()
    const over = Promise.race([finished, aborted])
    const { clock } = this.#options
    for (let waitMs = HAND_OVER_MS; !(await withinLimit(clock, waitMs, over)); waitMs *= 2) member.handOver(committed)
    await finished
  }

  #warnOfUnfinished(
    member: GroupMember,
    { isDrained, hasResigned }: { readonly isDrained: boolean; readonly hasResigned: boolean },
  ): void {
    const { settings, log } = this.#options
    const totalMs = settings.shutdownTimeoutMs
    const hadMs = Math.round(totalMs - (this.#deadlines.closedMs - this.#deadlines.drainedMs))
    const after = `after ${hadMs} ms of a stop that may take ${totalMs} ms (shutdownTimeout)`
    if (!hasResigned) log.warn({}, `Jobs of the leader were still at work ${after}: they run again on the next leader.`)
    if (!isDrained)
      log.warn(
        { inFlight: member.tasks.describeInFlight() },
        `Events were still in flight ${after}: they are handled again.`,
      )
  }
}
