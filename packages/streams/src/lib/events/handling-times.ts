import { TimeHistogram } from '@millrace/core'
import type { AgentHistograms, HandlingTime } from '@millrace/worker'

/** Samples kept for each agent. */
const KEPT = 512
/** Samples older than this are dropped. */
const OLD_MS = 60_000
/** The intended time between samples: an agent that is sampled more often is sampled less, and the reverse. */
const BETWEEN_SAMPLES_MS = 20
/** The most events from one sample to the next. */
const MAX_STRIDE = 4096

/** An event that is timed. */
export interface Timing {
  readonly startedMs: number
  /** How many events the sample represents. */
  readonly weight: number
}

/**
 * Times some events of an agent on one worker: all of them while they are few, one in thousands while they are many, so
 * that an event that is not timed costs only a subtraction.
 */
export class HandlingTimes {
  readonly #durations = new Float64Array(KEPT)
  readonly #endedMs = new Float64Array(KEPT).fill(-Infinity)
  readonly #open = new Set<Timing>()
  readonly #handling = new TimeHistogram()
  readonly #latency = new TimeHistogram()
  #at = 0
  #stride = 1
  #left = 1
  #lastMs = -Infinity

  /** Called for every event; returns true for those to time. */
  due(): boolean {
    return --this.#left <= 0
  }

  /** An event that was `due` goes to the handler. */
  begin(nowMs: number): Timing {
    const isOften = nowMs - this.#lastMs < BETWEEN_SAMPLES_MS
    const weight = this.#stride
    this.#stride = isOften ? Math.min(this.#stride * 2, MAX_STRIDE) : Math.max(this.#stride >> 1, 1)
    this.#left = this.#stride
    this.#lastMs = nowMs
    const timing = { startedMs: nowMs, weight }
    this.#open.add(timing)
    return timing
  }

  /**
   * Called when the next event is asked for.
   *
   * @param latencyMs since the record's timestamp, by the wall clock: clocks that differ can make it negative
   */
  end(timing: Timing, nowMs: number, latencyMs: number): void {
    this.#open.delete(timing)
    const durationMs = nowMs - timing.startedMs
    this.#handling.add(durationMs, timing.weight)
    this.#latency.add(Math.max(latencyMs, 0), timing.weight)
    this.#durations[this.#at] = durationMs
    this.#endedMs[this.#at] = nowMs
    this.#at = (this.#at + 1) % KEPT
  }

  /** Drops a timing because the handler has failed or left its loop, and its duration is unknown. */
  drop(timing: Timing): void {
    this.#open.delete(timing)
  }

  histograms(): AgentHistograms {
    return { handling: this.#handling.stats(), latency: this.#latency.stats() }
  }

  report(nowMs: number): HandlingTime {
    const recent = this.#durations.filter((_, index) => nowMs - (this.#endedMs[index] ?? -Infinity) <= OLD_MS).sort()
    const oldestMs = Math.min(nowMs, ...[...this.#open].map(({ startedMs }) => startedMs))
    return {
      p50Ms: quantile(recent, 0.5),
      p99Ms: quantile(recent, 0.99),
      samples: recent.length,
      longestInFlightMs: nowMs - oldestMs,
    }
  }
}

/** The quantile by nearest rank. */
function quantile(sorted: Float64Array, share: number): number | undefined {
  return sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)]
}
