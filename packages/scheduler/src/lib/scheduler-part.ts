import { didYouMean, MillraceError, schedulerTopic, whenAborted } from '@millrace/core'
import type { JobView, RunOutcome } from '@millrace/core/operations'
import type {
  Candidate,
  ContextStorage,
  Leadership,
  TopicDeclaration,
  Topology,
  WorkerContext,
  WorkerPart,
} from '@millrace/worker'
import { Alarm } from './timetables/alarm.ts'
import { describeJob, type Job } from './jobs/job.ts'
import { LeaderJobs } from './leader/leader-jobs.ts'
import type { Pausable, Pause, PauseNote } from './pauses/pause.ts'
import { PauseLog } from './pauses/pause-log.ts'
import { JobRunner, type Beginning } from './runs/job-runner.ts'
import { CronTimetable } from './timetables/cron-timetable.ts'
import { TimerTimetable } from './timetables/timer-timetable.ts'
import { momentOf, type Moment } from './timetables/timetable.ts'

/** What the scheduler needs from its composition root. The worker provides everything else. */
export interface SchedulerContext {
  readonly appId: string
  readonly contexts: ContextStorage
  /** Agents of the same worker, whose pauses are kept with those of jobs. */
  readonly agents?: PausableAgents
  /** Source of `jitter`: from 0 to below 1. Default `Math.random`. */
  readonly random?: () => number
}

/** The agents of an app on one worker; `AgentsPart` of `@millrace/streams` is one. */
export interface PausableAgents {
  /** Names, all of them declared before the worker starts. */
  readonly names: readonly string[]
  /** The agent is paused, on all workers, or no longer (`undefined`). Called before its first event, and at every change. */
  setPause(agent: string, pause: AgentPause | undefined): void
}

/** Since when an agent is paused. */
export interface AgentPause extends PauseNote {
  /** Wall time. */
  readonly sinceMs: number
}

/** The jobs of an app on one worker. */
export interface SchedulerPart extends WorkerPart {
  /** In definition order. */
  jobs(): readonly JobView[]
  /**
   * Runs a job now, regardless of its timetable; `overlap` applies. Resolves when the run is over.
   *
   * @throws `JOB_MISSING`; `NOT_LEADER` for a leader's job on another worker; `CLOSED` if the worker stops or has not
   * started
   */
  trigger(name: string): Promise<RunOutcome>
  /**
   * Skips slots from now on, on every worker of the app and across restarts; a run in progress continues. A task that
   * has not begun waits. Resolves once the pause is stored and known here; other workers learn of it within moments.
   *
   * @throws `JOB_MISSING`; `CLOSED` if the worker stops or has not started
   */
  pause(name: string, note?: PauseNote): Promise<void>
  /** Ends a pause; slots skipped in it are not caught up. Throws as `pause` does. */
  resume(name: string): Promise<void>
  /**
   * Hands out no more events to an agent, on every worker of the app and across restarts; events in flight are finished.
   * Resolves as `pause` does. To pause it again replaces the note.
   *
   * @throws `AGENT_MISSING`; `CLOSED` if the worker stops or has not started
   */
  pauseAgent(agent: string, note?: PauseNote): Promise<void>
  /** Lets the agent go on where it has stopped. Throws as `pauseAgent` does. */
  resumeAgent(agent: string): Promise<void>
}

/**
 * Tasks, timers and cron jobs of an app on one worker.
 *
 * @throws `NAME_TAKEN` if two jobs have one name
 * @example
 * createWorker({ …, parts: [agentsPart(…), schedulerPart({ appId, contexts }, jobs)] })
 */
export function schedulerPart(deps: SchedulerContext, jobs: readonly Job[]): SchedulerPart {
  return new Scheduler(deps, jobs)
}

class Scheduler implements SchedulerPart, Candidate {
  readonly name = 'scheduler'
  readonly #deps: SchedulerContext
  readonly #jobs: readonly Job[]
  #parts: Parts | undefined
  #isReady = false
  #isStopping = false

  constructor(deps: SchedulerContext, jobs: readonly Job[]) {
    this.#deps = deps
    this.#jobs = jobs
    const seen = new Map<string, Job>()
    for (const job of jobs) {
      const other = seen.get(job.name)
      if (other !== undefined)
        throw new MillraceError('NAME_TAKEN', `The name of ${describeJob(job)} is taken by ${describeJob(other)}.`)
      seen.set(job.name, job)
    }
  }

  declare(worker: WorkerContext, topology: Topology): void {
    const { appId, contexts, random = Math.random } = this.#deps
    const runners = this.#jobs.map((job) => new JobRunner({ worker, contexts, random }, job))
    const topic = schedulerTopic(appId)
    const pauses = new PauseLog({ worker, topic, random, onChange: (what, pause) => this.#onPause(what, pause) })
    const leader = new LeaderJobs({
      worker,
      topic,
      random,
      runners: runners.filter(({ job }) => job.onLeader),
      mayBegin: () => this.#isReady && !this.#isStopping,
      onBegun: () => this.#poll(),
      onLost: () => this.#arm(),
    })
    this.#parts = { worker, runners, leader, alarm: new Alarm(worker.clock, () => this.#poll()), pauses }
    worker.signal.addEventListener('abort', () => this.#letGo(worker.signal.reason), { once: true })
    if (this.#keepsPauses) topology.topic(schedulerDeclaration(appId))
    if (this.#jobs.some(({ onLeader }) => onLeader)) topology.lead(this)
  }

  /** Nothing that is paused may run before its pause is known. */
  async start(): Promise<void> {
    if (this.#keepsPauses) await this.#mustRun().pauses.open()
  }

  ready(): void {
    const { worker, runners, leader } = this.#mustRun()
    if (this.#isStopping) return
    this.#isReady = true
    const now = momentOf(worker.clock)
    for (const runner of runners) if (!runner.job.onLeader) runner.begin(beginHere(runner.job, now))
    leader.begin()
    this.#arm()
  }

  async stop(): Promise<void> {
    if (this.#parts === undefined) return
    const { worker, runners, pauses } = this.#parts
    this.#letGo(stopping())
    const settled = pauses.close().then(() => Promise.all(runners.map((runner) => runner.settled())))
    await Promise.race([settled, whenAborted(worker.signal)])
  }

  elected(leadership: Leadership): void {
    const { leader } = this.#mustRun()
    if (!this.#isStopping) leader.elected(leadership)
  }

  async resign(): Promise<void> {
    this.#isStopping = true
    await this.#mustRun().leader.resign(stopping())
  }

  jobs(): readonly JobView[] {
    if (this.#parts === undefined) return []
    const now = momentOf(this.#parts.worker.clock)
    return this.#parts.runners.map((runner) => runner.view(now))
  }

  async trigger(name: string): Promise<RunOutcome> {
    return this.#runner(name).trigger()
  }

  async pause(name: string, note?: PauseNote): Promise<void> {
    await this.#setPause(this.#pausableJob(name), true, note)
  }

  async resume(name: string): Promise<void> {
    await this.#setPause(this.#pausableJob(name), false)
  }

  async pauseAgent(agent: string, note?: PauseNote): Promise<void> {
    await this.#setPause(this.#pausableAgent(agent), true, note)
  }

  async resumeAgent(agent: string): Promise<void> {
    await this.#setPause(this.#pausableAgent(agent), false)
  }

  async #setPause(what: Pausable, isPaused: boolean, note?: PauseNote): Promise<void> {
    if (this.#isStopping) throw stopping()
    await this.#mustRun().pauses.set(what, isPaused, note)
  }

  /** It may belong to a version that is gone. */
  #onPause({ kind, name }: Pausable, pause: Pause): void {
    const { agents } = this.#deps
    if (kind === 'job') {
      const runner = this.#mustRun().runners.find(({ job }) => job.name === name)
      if (runner !== undefined) runner.pause = pause
      return
    }
    if (agents?.names.includes(name) !== true) return
    const { sinceMs, untilMs, by, why } = pause
    agents.setPause(name, untilMs === undefined ? { sinceMs, by, why } : undefined)
  }

  /** Whether this worker has anything that can be paused. */
  get #keepsPauses(): boolean {
    return this.#jobs.length > 0 || (this.#deps.agents?.names.length ?? 0) > 0
  }

  #pausableJob(name: string): Pausable {
    return { kind: 'job', name: this.#runner(name).job.name }
  }

  #pausableAgent(name: string): Pausable {
    this.#mustRun()
    const names = this.#deps.agents?.names ?? []
    if (names.includes(name)) return { kind: 'agent', name }
    throw new MillraceError('AGENT_MISSING', `There is no agent "${name}".${didYouMean(name, names)}`)
  }

  /** Begins nothing more, and aborts current runs. */
  #letGo(reason: unknown): void {
    const { runners, alarm } = this.#mustRun()
    this.#isStopping = true
    alarm.close()
    for (const runner of runners) runner.stop(reason)
  }

  #poll(): void {
    const { worker, runners } = this.#mustRun()
    const now = momentOf(worker.clock)
    for (const runner of runners) runner.poll(now)
    this.#arm()
  }

  #arm(): void {
    const { worker, runners, alarm } = this.#mustRun()
    const now = momentOf(worker.clock)
    const waits = runners.flatMap((runner) => runner.nextInMs(now) ?? [])
    alarm.arm(waits.length === 0 ? undefined : Math.min(...waits))
  }

  #mustRun(): Parts {
    if (this.#parts === undefined) throw new MillraceError('CLOSED', 'The scheduler has no worker yet.')
    return this.#parts
  }

  #runner(name: string): JobRunner {
    const { runners } = this.#mustRun()
    const runner = runners.find(({ job }) => job.name === name)
    if (runner !== undefined) return runner
    const names = runners.map(({ job }) => job.name)
    throw new MillraceError('JOB_MISSING', `There is no job "${name}".${didYouMean(name, names)}`)
  }
}

/** State that exists once a worker has begun to start. */
interface Parts {
  readonly worker: WorkerContext
  readonly runners: readonly JobRunner[]
  readonly leader: LeaderJobs
  readonly alarm: Alarm
  readonly pauses: PauseLog
}

/** A job that every worker runs starts afresh on each of them. */
function beginHere(job: Job, now: Moment): Beginning {
  const beginning = { timetable: undefined, registry: undefined, slots: [], runsBefore: 0 }
  if (job.kind === 'task') return { ...beginning, slots: [now.wallMs] }
  return {
    ...beginning,
    timetable: job.kind === 'timer' ? TimerTimetable.from(job.everyMs, now) : new CronTimetable(job, now.wallMs),
  }
}

/** The topic that jobs and agents need on the broker: what has run, and what is paused. */
export function schedulerDeclaration(appId: string): TopicDeclaration {
  const name = schedulerTopic(appId)
  const config = { 'cleanup.policy': 'compact' }
  return { name, partitions: 1, config, create: true, internal: true, keyCodec: undefined }
}

function stopping(): MillraceError {
  return new MillraceError('CLOSED', 'The worker stops.')
}
