/** Samples kept for each agent. */
const KEPT = 512
/** Samples older than this tell nothing of now. */
const OLD_MS = 60_000
/** An agent that is timed more often than this is timed less often, and the other way round. */
const BETWEEN_SAMPLES_MS = 20
/** Events from one sample to the next, at most. */
const MAX_STRIDE = 4096

/** How long an agent takes over an event, or over a batch of `take()`, from its sight to the next being asked for. */
export interface HandlingTime {
  /** Of the last minute; `undefined` when nothing was handled in it. */
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  /** Samples behind the two. */
  readonly samples: number
  /** For how long an event has been in hand, of those that are timed; 0 when none is. */
  readonly longestInHandMs: number
}

/** An event that is being timed. */
export interface Timing {
  readonly startedMs: number
}

/**
 * Times some of the events of an agent on one worker: all of them while they are few, one in thousands while they are many,
 * so that an event that is not timed costs a subtraction.
 */
export class HandlingTimes {
  readonly #durations = new Float64Array(KEPT)
  readonly #endedMs = new Float64Array(KEPT).fill(-Infinity)
  readonly #open = new Set<Timing>()
  #at = 0
  #stride = 1
  #left = 1
  #lastMs = -Infinity

  /** Called for every event; true for those to time. */
  due(): boolean {
    return --this.#left <= 0
  }

  /** An event that was `due` goes to the handler. */
  begin(nowMs: number): Timing {
    const isOften = nowMs - this.#lastMs < BETWEEN_SAMPLES_MS
    this.#stride = isOften ? Math.min(this.#stride * 2, MAX_STRIDE) : Math.max(this.#stride >> 1, 1)
    this.#left = this.#stride
    this.#lastMs = nowMs
    const timing = { startedMs: nowMs }
    this.#open.add(timing)
    return timing
  }

  /** The next event is asked for. */
  end(timing: Timing, nowMs: number): void {
    this.#open.delete(timing)
    this.#durations[this.#at] = nowMs - timing.startedMs
    this.#endedMs[this.#at] = nowMs
    this.#at = (this.#at + 1) % KEPT
  }

  /** The handler has failed, or left its loop: how long it would have taken is not known. */
  drop(timing: Timing): void {
    this.#open.delete(timing)
  }

  report(nowMs: number): HandlingTime {
    const recent = this.#durations.filter((_, index) => nowMs - (this.#endedMs[index] ?? -Infinity) <= OLD_MS).sort()
    const oldestMs = Math.min(nowMs, ...[...this.#open].map(({ startedMs }) => startedMs))
    return {
      p50Ms: quantile(recent, 0.5),
      p99Ms: quantile(recent, 0.99),
      samples: recent.length,
      longestInHandMs: nowMs - oldestMs,
    }
  }
}

/** Nearest rank. */
function quantile(sorted: Float64Array, share: number): number | undefined {
  return sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)]
}
