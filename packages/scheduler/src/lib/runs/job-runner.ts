import { errorText, isMillraceError, MillraceError, toError } from '@millrace/core'
import type { JobState, JobView, LastRun, RunOutcome } from '@millrace/core/operations'
import type { ContextStorage, WorkerContext } from '@millrace/worker'
import { describeJob, type Job, type Overlap } from '../jobs/job.ts'
import { covers, type Pause } from '../pauses/pause.ts'
import type { Moment, Timetable } from '../timetables/timetable.ts'
import { admit } from './admit.ts'
import { executeRun, mayBegin } from './execute-run.ts'
import { describeSchedule } from '../jobs/describe-job-plan.ts'
import { Run, type RunRegistry } from './run.ts'

export interface JobEnvironment {
  readonly worker: WorkerContext
  readonly contexts: ContextStorage
  readonly random: () => number
}

/** How a runner begins. */
export interface Beginning {
  /** `undefined`: there are no slots, only the given runs. */
  readonly timetable: Timetable | undefined
  readonly registry: RunRegistry | undefined
  /** Slots to run at once, one after the other. */
  readonly slots: readonly number[]
  /** Runs that already count towards `limit`. */
  readonly runsBefore: number
}

/** Runs one job on one worker: its due slots, one at a time or as `overlap` says, and the outcome of each run. */
export class JobRunner {
  readonly job: Job
  readonly #deps: JobEnvironment
  readonly #what: string
  readonly #active = new Set<Run>()
  #queue: Run[] = []
  #timetable: Timetable | undefined
  #registry: RunRegistry | undefined
  #phase: 'waiting' | 'begun' | 'stopped' = 'waiting'
  #pause: Pause | undefined
  /** Slots to run regardless of the time, once the job resumes. */
  #held: readonly number[] = []
  #admitted = 0
  #runs = 0
  #failures = 0
  #skipped = 0
  #lastRun: LastRun | undefined
  #lastError: JobView['lastError']

  constructor(deps: JobEnvironment, job: Job) {
    this.#deps = deps
    this.job = job
    this.#what = describeJob(job)
  }

  /** Runs slots from now on. */
  begin({ timetable, registry, slots, runsBefore }: Beginning): void {
    if (this.#phase === 'stopped') return
    this.#phase = 'begun'
    this.#registry = registry
    this.#admitted = runsBefore
    this.#timetable = this.#isUsedUp() ? undefined : timetable
    this.runAgain(slots)
  }

  /** Runs slots begun earlier, except those still running; for a paused job, when it resumes. */
  runAgain(slots: readonly number[]): void {
    if (this.#isPaused) {
      this.#held = [...new Set([...this.#held, ...slots])]
      return
    }
    for (const slotMs of slots)
      if (!this.#holds(slotMs)) this.#submit(new Run({ slotMs, registry: this.#registry, delayMs: 0 }), 'queue-all')
  }

  /** Runs what is due. */
  poll(now: Moment): void {
    const timetable = this.#timetable
    if (timetable === undefined) return
    const { slots: come, skipped } = timetable.due(now)
    const pause = this.#pause
    const slots = pause === undefined ? come : come.filter((slotMs) => !covers(pause, slotMs))
    this.#skipped += skipped + come.length - slots.length
    // Several slots at once are being caught up, so they run one after the other.
    const overlap = slots.length > 1 ? 'queue-all' : this.job.overlap
    for (const slotMs of slots) {
      if (this.#isUsedUp()) break
      this.#admitted++
      this.#submit(new Run({ slotMs, registry: this.#registry, delayMs: this.#jitterMs(slotMs, now) }), overlap)
    }
    if (this.#isUsedUp()) this.#timetable = undefined
  }

  /** Time until the next slot; `undefined` if there is none. */
  nextInMs(now: Moment): number | undefined {
    return this.#timetable?.nextInMs(now)
  }

  /** Runs the job once more, now; nothing about this run is stored for other leaders. */
  trigger(): Promise<RunOutcome> {
    if (this.#phase === 'stopped')
      throw new MillraceError('CLOSED', `${this.#what} was triggered while the worker stops.`)
    if (this.#phase === 'waiting' && this.job.onLeader)
      throw new MillraceError('NOT_LEADER', `${this.#what} was triggered on worker ${this.#deps.worker.id}.`)
    const run = new Run({ slotMs: this.#deps.worker.clock.now(), registry: undefined, delayMs: 0 })
    this.#submit(run, this.job.overlap)
    return run.over.promise
  }

  /** Skips slots that a pause covers; a current run continues. Runs held back begin when the pause is over. */
  set pause(pause: Pause) {
    this.#pause = pause
    if (this.#isPaused) return
    const held = this.#held
    this.#held = []
    this.runAgain(held)
  }

  /** Stops slots for now because the lead is lost: aborts current runs and drops waiting ones. */
  suspend(reason: unknown): void {
    if (this.#phase === 'begun') this.#phase = 'waiting'
    this.#drop(reason)
  }

  /** As `suspend`, but permanently. */
  stop(reason: unknown): void {
    this.#phase = 'stopped'
    this.#drop(reason)
  }

  /** Resolves when no run is in progress. */
  async settled(): Promise<void> {
    while (this.#active.size > 0) await Promise.all([...this.#active].map((run) => run.over.promise))
  }

  view(now: Moment): JobView {
    const { job } = this
    const nextInMs = this.nextInMs(now)
    return {
      name: job.name,
      kind: job.kind,
      schedule: describeSchedule(job),
      timezone: job.kind === 'cron' ? job.schedule.zone.name : undefined,
      onLeader: job.onLeader,
      state: this.#state(nextInMs !== undefined),
      paused: this.#isPaused,
      active: this.#active.size,
      queued: this.#queue.length,
      runs: this.#runs,
      failures: this.#failures,
      skipped: this.#skipped,
      lastRun: this.#lastRun,
      nextRun: nextInMs === undefined || this.#isPaused ? undefined : new Date(Math.round(now.wallMs + nextInMs)),
      lastError: this.#lastError,
    }
  }

  #state(hasNext: boolean): JobState {
    if (this.#phase === 'stopped') return 'stopped'
    if (this.#active.size > 0) return 'running'
    if (this.#phase === 'waiting') return this.job.onLeader ? 'waiting-for-leader' : 'starting'
    if (!hasNext && this.#held.length === 0) return 'finished'
    return this.#isPaused ? 'paused' : 'scheduled'
  }

  get #isPaused(): boolean {
    return this.#pause !== undefined && this.#pause.untilMs === undefined
  }

  #isUsedUp(): boolean {
    return this.job.kind === 'cron' && this.#admitted >= this.job.limit
  }

  #holds(slotMs: number): boolean {
    return [...this.#active, ...this.#queue].some(
      (run) => run.slotMs === slotMs && run.registry === this.#registry && !run.abort.signal.aborted,
    )
  }

  /** A random delay that still begins the run before the next slot. */
  #jitterMs(slotMs: number, now: Moment): number {
    const { jitterMs } = this.job
    if (jitterMs === 0) return 0
    const roomMs = (this.nextInMs(now) ?? Infinity) - 1
    const delayMs = Math.floor(this.#deps.random() * jitterMs)
    return Math.max(Math.min(slotMs + delayMs - now.wallMs, roomMs), 0)
  }

  #submit(run: Run, overlap: Overlap): void {
    const admission = admit(overlap, { active: this.#active.size, queued: this.#queue.length })
    switch (admission) {
      case 'run':
        void this.#perform(run)
        return
      case 'queue':
        this.#queue.push(run)
        return
      case 'skip':
        return this.#skip(run)
      case 'replace': {
        for (const waiting of this.#queue) this.#skip(waiting)
        this.#queue = [run]
        const reason = new MillraceError('CLOSED', `A later run of ${this.#what} takes over.`)
        for (const previous of this.#active) {
          previous.superseded = true
          previous.abort.abort(reason)
        }
      }
    }
  }

  #skip(run: Run): void {
    this.#skipped++
    run.end('skipped')
  }

  #drop(reason: unknown): void {
    this.#timetable = undefined
    this.#registry = undefined
    this.#held = []
    for (const run of this.#queue) run.end('skipped')
    this.#queue = []
    for (const run of this.#active) run.abort.abort(reason)
  }

  /** Never rejects. */
  async #perform(run: Run): Promise<void> {
    this.#active.add(run)
    try {
      if (await mayBegin(run, { ...this.#deps, job: this.job })) await this.#body(run)
      else this.#skip(run)
    } finally {
      this.#active.delete(run)
      const next = this.#active.size === 0 ? this.#queue.shift() : undefined
      if (next !== undefined) void this.#perform(next)
    }
  }

  async #body(run: Run): Promise<void> {
    const { last, error } = await executeRun(run, { ...this.#deps, job: this.job })
    this.#runs++
    this.#lastRun = last
    if (error !== undefined) this.#report(last, error)
    await this.#keep(run, last)
    run.end(last.result, error)
  }

  #report({ slot, result }: LastRun, error: Error): void {
    const { log, sensor, redact } = this.#deps.worker
    const fields = { job: this.job.name, slot: slot.toISOString(), err: error }
    if (result === 'cut-short') {
      log.info(fields, `${capital(this.#what)} was cut short in its run of ${slot.toISOString()}.`)
      return
    }
    this.#failures++
    this.#lastError = { message: redact(error.message), slot }
    sensor.errorRaised({ source: this.#what, error })
    log.error(fields, `${capital(this.#what)} failed in its run of ${slot.toISOString()}: ${errorText(error)}`)
  }

  /** Records the end for other leaders, unless the next one should run it again. */
  async #keep(run: Run, last: LastRun): Promise<void> {
    if (run.registry === undefined || (last.result === 'cut-short' && !run.superseded)) return
    try {
      await run.registry.finish(this.job.name, {
        slotMs: run.slotMs,
        cursorMs: this.#timetable?.cursorMs ?? run.slotMs,
        last,
      })
    } catch (thrown) {
      const { log } = this.#deps.worker
      if (isMillraceError(thrown, 'CLOSED', 'NOT_ASSIGNED'))
        log.warn(
          { job: this.job.name, slot: last.slot.toISOString() },
          `The lead was lost before the end of a run of ${this.#what} was noted: the next leader runs it again.`,
        )
      else
        log.error(
          { job: this.job.name, slot: last.slot.toISOString(), err: toError(thrown) },
          `The end of a run of ${this.#what} could not be noted.`,
        )
    }
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
