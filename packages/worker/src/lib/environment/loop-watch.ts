import type { Clock, Scheduled } from '@millrace/core'
import type { CurrentEvent } from '../contracts/event.ts'
import type { ContextStorage } from '../contracts/worker-context.ts'
import { ContextTrace, type FollowedEvent } from './context-trace.ts'

/** A time in which the event loop did not turn. */
export interface Block {
  readonly ms: number
  /** True if the process was computing, rather than suspended or waiting. */
  readonly isBusy: boolean
  /** The event in whose context the block occurred, if that event was followed. */
  readonly event: CurrentEvent | undefined
}

export interface LoopWatchOptions {
  readonly clock: Clock
  /** `undefined` if members are never removed for silence; then nothing is watched. */
  readonly sessionTimeoutMs: number | undefined
  readonly contexts?: ContextStorage | undefined
}

/** Notified after each block. */
export interface BlockListener {
  /**
   * Called when the event loop was blocked for a third of the session or longer: in the first turn after the block, or
   * still in the same one.
   */
  loopBlocked(block: Block): void
}

const CHECKS_PER_SESSION = 15
/**
 * Above this share of processor time the process was computing rather than suspended. The share is low, because many
 * processes may share a processor.
 */
const BUSY_SHARE = 0.05

/**
 * Notices when the event loop was blocked. It reads the clock in every turn, so a long time between two checks is a
 * time without a turn. During hand-out it also reads the clock at both ends of a *run*: a callback of the event loop
 * with all promises that continue directly after it. A handler that awaits anything has yielded by the end of its run.
 * So a block within a run is the work of an event that was handed out in that run, and a block outside of runs is not.
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

  /** Watches code in the context of an event that may block the event loop, until the event is over. */
  follow(event: FollowedEvent): void {
    if (this.#timer !== undefined) this.#trace.follow(event)
  }

  /** Whether an event has been handed out in the current run. */
  get isInRun(): boolean {
    return this.#isInRun
  }

  /** Called when an event is handed out, or begins to be handled. */
  handedOut(): void {
    if (this.#isInRun || this.#timer === undefined) return
    this.check()
    this.#isInRun = true
    // A microtask that is queued from within a promise runs after all promises that can continue.
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
