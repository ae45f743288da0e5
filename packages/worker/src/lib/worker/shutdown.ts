import { isMillraceError, toError, whenAborted, withinLimit } from '@millrace/core'
import type { Task } from '../task/task.ts'
import type { GroupMember } from './group-member.ts'
import type { WorkerOptions } from './worker-options.ts'

/** How long a failing worker tries to commit what is finished. */
const LAST_COMMIT_MS = 5000
/**
 * After this time rebalances no longer wait for this worker, and the group may have the tasks without events in flight.
 * Tasks that become free later move in further rebalances, each after twice the time, so that there are few of them
 * whatever the number of tasks.
 */
const HAND_OVER_MS = 1000
/** The share of the stop time that is reserved for the steps after events in flight. */
const RESERVED_SHARE = 0.4
const MOST_RESERVED_MS = 8000

/** How a worker ends. */
export type Ending = 'drained' | 'failed' | 'hard'

/**
 * Deadlines for the steps of a stop, on the monotonic clock, which hold whatever hangs. Time that one step does not use
 * is left for the next ones.
 */
export interface Deadlines {
  /** Until when events in flight, and jobs of the leader, are awaited. */
  readonly drainedMs: number
  /** Until when the last commit may take. */
  readonly committedMs: number
  /** Until when the worker waits for the group to confirm that it has left. */
  readonly leftMs: number
  /** By when everything is closed, or left to close in the background. */
  readonly closedMs: number
}

/** The deadlines of a stop that begins now and takes at most `totalMs`. */
export function deadlinesOf(nowMs: number, totalMs: number): Deadlines {
  const reservedMs = Math.min(totalMs * RESERVED_SHARE, MOST_RESERVED_MS)
  const closedMs = nowMs + totalMs
  const before = (eighths: number): number => closedMs - (reservedMs * eighths) / 8
  return { drainedMs: before(8), committedMs: before(5), leftMs: before(3), closedMs }
}

export interface ShutdownOptions {
  readonly options: Pick<WorkerOptions, 'clock' | 'settings' | 'log' | 'parts'>
  readonly ending: Ending
  /** Aborts when nothing more is awaited. */
  readonly signal: AbortSignal
}

/**
 * The last work of a worker, within `shutdownTimeout` in all. The time begins when this object is made; each step gets
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

  /** Waits for events in flight, and commits what is finished. */
  async finishWork(member: GroupMember): Promise<void> {
    if (this.#signal.aborted) return
    const aborted = whenAborted(this.#signal)
    const work = this.#ending === 'drained' ? this.#drain(member, aborted) : this.#commitAll(member)
    await Promise.race([work, aborted])
  }

  async leave(member: GroupMember): Promise<void> {
    // A failed worker may fail again, so others should have its partitions meanwhile.
    const leave = member.leavesOnStop || this.#ending === 'failed'
    await this.#quietly('leaving the group', member.consumer.close({ leave }), this.#until('leftMs'))
  }

  /** Stops parts in reverse order. */
  async stopParts(): Promise<void> {
    for (const part of this.#options.parts.toReversed())
      await this.close(`stopping ${part.name}`, (signal) => part.stop(signal))
  }

  /**
   * Runs a step of the end. A failure is reported, and neither it nor a step that hangs keeps the others from running:
   * each gets half of the time that is left, so that some is always left for the next. `signal` aborts when the step is
   * no longer awaited.
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
   * Commits each task when nothing of it is in flight any more. Tasks with a slow event delay no others, which move to
   * other workers meanwhile.
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
      // Awaited below. A failed task moves to no other worker before this one has left.
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
    if (!hasResigned) log.warn({}, `Jobs of the leader were still running ${after}: they run again on the next leader.`)
    if (!isDrained)
      log.warn(
        { inFlight: member.tasks.describeInFlight() },
        `Events were still in flight ${after}: they are handled again.`,
      )
  }
}
