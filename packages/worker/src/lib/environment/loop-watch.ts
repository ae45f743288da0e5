import type { Clock, Scheduled } from '@millrace/core'
import type { CurrentEvent } from '../contracts/event.ts'
import type { ContextStorage } from '../contracts/worker-context.ts'
import { ContextTrace, type FollowedEvent } from './context-trace.ts'

/** A stretch of time in which the event loop did not turn. */
export interface Block {
  readonly ms: number
  /** The process was computing, rather than stopped or waiting for something. */
  readonly isBusy: boolean
  /** In the context of which event, where one was followed. */
  readonly event: CurrentEvent | undefined
}

export interface LoopWatchOptions {
  readonly clock: Clock
  /** `undefined` where members are not thrown out; then nothing is watched. */
  readonly sessionTimeoutMs: number | undefined
  readonly contexts?: ContextStorage | undefined
}

/** Is called after each block. */
export interface BlockListener {
  /**
   * The event loop was blocked for a third of the session or longer. Called in the first turn after that, or still in
   * the same one.
   */
  loopBlocked(block: Block): void
}

const CHECKS_PER_SESSION = 15
/**
 * With a larger share of processor time than this, the process was computing rather than standing still. Low, since
 * many processes may share a processor.
 */
const BUSY_SHARE = 0.05

/**
 * Notices when the event loop was blocked. It reads the clock in every turn that it gets, so a long time between two checks
 * was a time without a turn. Where events are handed out it also reads the clock at both ends of that *run*: what the
 * event loop calls at once, and all promises that go on by themselves after it. A handler that is called in a run and has
 * to wait for anything has yielded by the end of it, so a block within a run is the work of an event that was handed out
 * in it, and a block outside of runs is not.
 */
export class LoopWatch {
  /** Grows with each check. */
  checks = 0
  /** Grows with each run that ends. */
  runs = 0
  readonly #clock: Clock
  readonly #listener: BlockListener
  readonly #intervalMs: number
  readonly #limitMs: number
  readonly #trace: ContextTrace
  #checkedMs = Infinity
  #cpuMs = 0
  #timer: Scheduled | undefined
  #isInRun = false

  constructor({ clock, sessionTimeoutMs, contexts }: LoopWatchOptions, listener: BlockListener) {
    this.#clock = clock
    this.#listener = listener
    this.#intervalMs = (sessionTimeoutMs ?? Infinity) / CHECKS_PER_SESSION
    this.#limitMs = (sessionTimeoutMs ?? Infinity) / 3
    this.#trace = new ContextTrace({ clock, contexts, limitMs: this.#limitMs })
  }

  start(): void {
    if (this.#limitMs === Infinity) return
    this.#checkedMs = this.#clock.monotonic()
    this.#tick()
  }

  /** It may block the event loop: from now on until it is over, code that runs for it is watched. */
  follow(event: FollowedEvent): void {
    if (this.#timer !== undefined) this.#trace.follow(event)
  }

  /** An event has been handed out in the run that is under way. */
  get isInRun(): boolean {
    return this.#isInRun
  }

  /** An event is handed out, or begins to be handled. */
  handedOut(): void {
    if (this.#isInRun || this.#timer === undefined) return
    this.check()
    this.#isInRun = true
    // A tick that is asked for from within a promise comes when no other promise can go on.
    queueMicrotask(this.#endWithRun)
  }

  check(): void {
    if (this.#timer !== undefined) {
      const nowMs = this.#clock.monotonic()
      const ms = nowMs - this.#checkedMs
      this.#checkedMs = nowMs
      const event = this.#trace.take()
      if (ms >= this.#limitMs) {
        // The processor time was read up to one interval before the block began.
        const busyMs = this.#clock.cpuTime() - this.#cpuMs - this.#intervalMs
        this.#listener.loopBlocked({ ms, isBusy: busyMs >= ms * BUSY_SHARE, event })
        this.#cpuMs = this.#clock.cpuTime()
      }
    }
    this.checks++
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#trace.close()
  }

  readonly #endWithRun = (): void => process.nextTick(this.#endRun)

  readonly #endRun = (): void => {
    this.check()
    this.#isInRun = false
    this.runs++
  }

  #tick(): void {
    this.#cpuMs = this.#clock.cpuTime()
    this.#timer = this.#clock.schedule(this.#intervalMs, () => {
      this.check()
      this.#tick()
    })
  }
}
