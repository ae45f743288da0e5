import type { Clock, Scheduled } from '@millrace/core'

/** A stretch of time in which the event loop did not turn. */
export interface Block {
  readonly ms: number
  /** The process was computing, rather than stopped or waiting for something. */
  readonly isBusy: boolean
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
 * was a time without a turn. Record queues have it check more often, to narrow down which event it was.
 */
export class LoopWatch {
  /** Grows with each check. */
  checks = 0
  readonly #clock: Clock
  readonly #listener: BlockListener
  readonly #intervalMs: number
  readonly #limitMs: number
  #checkedMs = Infinity
  #cpuMs = 0
  #timer: Scheduled | undefined

  /** `sessionTimeoutMs`: `undefined` where members are not thrown out; then nothing is watched. */
  constructor(clock: Clock, sessionTimeoutMs: number | undefined, listener: BlockListener) {
    this.#clock = clock
    this.#listener = listener
    this.#intervalMs = (sessionTimeoutMs ?? Infinity) / CHECKS_PER_SESSION
    this.#limitMs = (sessionTimeoutMs ?? Infinity) / 3
  }

  start(): void {
    if (this.#limitMs === Infinity) return
    this.#checkedMs = this.#clock.monotonic()
    this.#tick()
  }

  check(): void {
    if (this.#timer !== undefined) {
      const nowMs = this.#clock.monotonic()
      const ms = nowMs - this.#checkedMs
      this.#checkedMs = nowMs
      if (ms >= this.#limitMs) {
        // The processor time was read up to one interval before the block began.
        const busyMs = this.#clock.cpuTime() - this.#cpuMs - this.#intervalMs
        this.#listener.loopBlocked({ ms, isBusy: busyMs >= ms * BUSY_SHARE })
        this.#cpuMs = this.#clock.cpuTime()
      }
    }
    this.checks++
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #tick(): void {
    this.#cpuMs = this.#clock.cpuTime()
    this.#timer = this.#clock.schedule(this.#intervalMs, () => {
      this.check()
      this.#tick()
    })
  }
}
