import type { Clock, Scheduled } from '@millrace/core'

/** The event loop did not turn. */
export interface Block {
  readonly ms: number
  /** The process was computing, rather than stopped or waiting for something. */
  readonly isBusy: boolean
}

export interface LoopWatchDeps {
  readonly clock: Clock
  /** `undefined` where members are not thrown out: then nothing is watched. */
  readonly sessionTimeoutMs: number | undefined
  /** For a third of the session or longer. Called in the first turn after it, or still in the same one. */
  readonly onBlocked: (block: Block) => void
}

const LOOKS_PER_SESSION = 15
/** Share of the processor's time that tells computing from standing still, also where many share a processor. */
const BUSY_SHARE = 0.05

/**
 * Sees that the event loop was blocked: it looks at the clock in every turn that it is given, so that a long time between
 * two looks is one without a turn. Feeds have it look more often, to narrow down which event it was.
 */
export class LoopWatch {
  /** Grows with each look. */
  looks = 0
  readonly #deps: LoopWatchDeps
  readonly #intervalMs: number
  readonly #limitMs: number
  #lookedMs = Infinity
  #cpuMs = 0
  #timer: Scheduled | undefined

  constructor(deps: LoopWatchDeps) {
    this.#deps = deps
    this.#intervalMs = (deps.sessionTimeoutMs ?? Infinity) / LOOKS_PER_SESSION
    this.#limitMs = (deps.sessionTimeoutMs ?? Infinity) / 3
  }

  start(): void {
    if (this.#deps.sessionTimeoutMs === undefined) return
    this.#lookedMs = this.#deps.clock.monotonic()
    this.#tick()
  }

  look(): void {
    if (this.#timer !== undefined) {
      const { clock, onBlocked } = this.#deps
      const nowMs = clock.monotonic()
      const ms = nowMs - this.#lookedMs
      this.#lookedMs = nowMs
      if (ms >= this.#limitMs) {
        // It was read up to an interval before the block began.
        const busyMs = clock.cpuTime() - this.#cpuMs - this.#intervalMs
        onBlocked({ ms, isBusy: busyMs >= ms * BUSY_SHARE })
        this.#cpuMs = clock.cpuTime()
      }
    }
    this.looks++
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #tick(): void {
    const { clock } = this.#deps
    this.#cpuMs = clock.cpuTime()
    this.#timer = clock.schedule(this.#intervalMs, () => {
      this.look()
      this.#tick()
    })
  }
}
