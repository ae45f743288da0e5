import cluster from 'node:cluster'
import { type Clock, type Logger, MillraceError, raceAbort, whenAborted } from '@millrace/core'
import type { Signals } from '../process/signals.ts'
import type { ProcessReport } from './process-messages.ts'
import { Restarts } from './restarts.ts'
import { WorkerProcess } from './worker-process.ts'

/** How much longer than `shutdownTimeout` a process may take until it is killed. */
const STOP_MARGIN_MS = 3_000

export interface SupervisorOptions {
  readonly count: number
  /** What was typed after the program's name. */
  readonly words: readonly string[]
  /** The setting `shutdownTimeout`: one limit for all processes, because they stop at the same time. */
  readonly shutdownTimeoutMs: number
  readonly signals: Signals
  readonly clock: Clock
  readonly log: Logger
  readonly stderr: { write(text: string): unknown }
}

/** By then the first rebalances are over. */
const IDLE_CHECK_MS = 15_000

/** A process and its successors. */
interface Slot {
  readonly index: number
  readonly restarts: Restarts
  current: WorkerProcess | undefined
  isReady: boolean
  /** As told last. */
  tasks: number | undefined
}

/** A process from its start to its end. */
interface ProcessRun {
  /** Exit code or signal. */
  readonly by: number | string
  /** Whether it stopped in order, at a signal of its own. */
  readonly wasStopped: boolean
  readonly lastLines: readonly string[]
}

/** Runs several workers of an app, each in a process of its own, which share the port of the site. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #slots: readonly Slot[]
  /** Aborts when all are to end. */
  readonly #ending = new AbortController()
  #exitCode = 0
  #isChecked = false
  #failure: MillraceError | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.count }, (_, index) => ({
      index,
      restarts: new Restarts(),
      current: undefined,
      isReady: false,
      tasks: undefined,
    }))
  }

  /**
   * Runs until a signal or the end of a process that is not started again. Returns the exit code.
   *
   * @throws `PROCESS_FAILED` if a process dies in a loop
   */
  async run(): Promise<number> {
    const { words, signals } = this.#options
    cluster.setupPrimary({
      exec: process.argv[1] ?? '',
      args: [...words],
      // Error output passes through here, so that its end can be repeated.
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    })
    void whenAborted(signals.signal).then(() => this.#end(0))
    const killAll = (): void => this.#killAll()
    // At a second signal this process exits at once, and the others with it.
    process.once('exit', killAll)
    try {
      await Promise.all(this.#slots.map((slot) => this.#keep(slot)))
    } finally {
      process.off('exit', killAll)
    }
    if (this.#failure !== undefined) throw this.#failure
    return this.#exitCode
  }

  /** Starts a process, and starts it again as long as `Restarts` says so. */
  async #keep(slot: Slot): Promise<void> {
    const { clock, log } = this.#options
    const { signal } = this.#ending
    while (!signal.aborted) {
      const beganMs = clock.monotonic()
      const { by, wasStopped, lastLines } = await this.#runOnce(slot)
      if (signal.aborted) return
      const facts = { process: slot.index, by }
      const { isReady: wasReady } = slot
      slot.isReady = false
      const waitMs =
        by === 0 && !wasStopped
          ? undefined
          : slot.restarts.next({ by, wasReady, ranForMs: clock.monotonic() - beganMs })
      if (waitMs === undefined) {
        this.#giveUp(slot, { by, wasReady, lastLines })
        return
      }
      log.warn({ ...facts, inMs: Math.round(waitMs) }, 'A process has ended and is started again')
      await clock.sleep(waitMs, signal).catch(() => undefined)
    }
  }

  async #runOnce(slot: Slot): Promise<ProcessRun> {
    const { count, stderr, clock, log, shutdownTimeoutMs } = this.#options
    const { signal } = this.#ending
    let wasStopped = false
    const child = new WorkerProcess({
      index: slot.index,
      count,
      stderr,
      onReport: (report) => {
        if (report.kind === 'stopped') wasStopped = true
        else this.#receive(slot, report)
      },
    })
    slot.current = child
    const stop = (): void => void child.order({ kind: 'stop' })
    signal.addEventListener('abort', stop)
    try {
      const by = await raceAbort(child.ended, signal).catch(async () => {
        const limit = clock.schedule(shutdownTimeoutMs + STOP_MARGIN_MS, () => {
          log.error({ process: slot.index, pid: child.pid }, 'A process did not stop within shutdownTimeout: killed')
          this.#exitCode = 1
          child.kill()
        })
        const ended = await child.ended
        limit.cancel()
        return ended
      })
      if (signal.aborted && by !== 0 && this.#exitCode === 0) this.#exitCode = typeof by === 'number' ? by : 1
      return { by, wasStopped, lastLines: child.lastLines }
    } finally {
      signal.removeEventListener('abort', stop)
      slot.current = undefined
    }
  }

  #receive(slot: Slot, report: ProcessReport): void {
    switch (report.kind) {
      case 'ready':
        slot.isReady = true
        if (this.#slots.every(({ isReady }) => isReady)) this.#checkLater()
        return
      case 'tasks':
        slot.tasks = report.tasks
        if (this.#slots.every(({ tasks }) => tasks !== undefined)) this.#warnOfIdle()
        return
      case 'ask': {
        const { id, question } = report
        const others = this.#slots.filter((other) => other !== slot && other.current !== undefined)
        slot.current?.order({ kind: 'asking', id, processes: others.length })
        for (const { current } of others) current?.order({ kind: 'question', id, from: slot.index, question })
        return
      }
      case 'answer': {
        const { id, text } = report
        const answered = { kind: 'answered', id, from: slot.index } as const
        this.#slots[report.to]?.current?.order(text === undefined ? answered : { ...answered, text })
        return
      }
      case 'stopped':
    }
  }

  /** Once: what others do to the group later is no news about this machine. */
  #checkLater(): void {
    if (this.#isChecked) return
    this.#isChecked = true
    const timer = this.#options.clock.schedule(IDLE_CHECK_MS, () => {
      for (const { current } of this.#slots) current?.order({ kind: 'tellTasks' })
    })
    this.#ending.signal.addEventListener('abort', () => timer.cancel(), { once: true })
  }

  #warnOfIdle(): void {
    const { count, log } = this.#options
    const idle = this.#slots.filter(({ tasks }) => tasks === 0).length
    if (idle > 0)
      log.warn(
        { idle, processes: count },
        `${idle} of ${count} processes have nothing to do: the app has fewer partitions than workers. Run fewer processes, or give its topics more partitions`,
      )
  }

  #giveUp(
    slot: Slot,
    { by, wasReady, lastLines }: Omit<ProcessRun, 'wasStopped'> & { readonly wasReady: boolean },
  ): void {
    const { log } = this.#options
    const facts = { process: slot.index, by }
    if (by === 0) log.info(facts, 'A process has ended by itself: the others are stopped, too')
    else if (typeof by === 'number' && !wasReady)
      log.error(facts, 'A process could not start: the others are stopped, too')
    else
      this.#failure ??= new MillraceError(
        'PROCESS_FAILED',
        `Process ${slot.index} has ended again and again, last by ${by}; the others are stopped, too.${quoted(lastLines)}`,
      )
    this.#end(typeof by === 'number' ? by : 1)
  }

  #end(exitCode: number): void {
    if (this.#exitCode === 0) this.#exitCode = exitCode
    this.#ending.abort(new Error('All processes end.'))
  }

  #killAll(): void {
    for (const { current } of this.#slots) current?.kill()
  }
}

function quoted(lines: readonly string[]): string {
  return lines.length === 0 ? '' : ` It said last:\n${lines.join('\n')}`
}
