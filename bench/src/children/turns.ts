import { existsSync, readFileSync } from 'node:fs'
import { PerformanceObserver, performance } from 'node:perf_hooks'

/** Shorter turns and pauses are not kept. */
const LEAST_MS = 5
/** On Linux: for how many nanoseconds the main thread had a core, and for how many it waited for one. */
const SCHEDULED = `/proc/self/task/${process.pid}/schedstat`

interface Stretch {
  readonly fromMs: number
  readonly toMs: number
}

interface Turn extends Stretch {
  /** For how long the thread had a core. */
  readonly busyMs: number
}

/** For how long the event loop had no turn. */
export interface LongestTurns {
  readonly longestTurnMs: number
  /** The longest one by processor time: others on the machine do not count. */
  readonly longestBusyTurnMs: number
  /** The longest one by processor time without the garbage collections in it: what our own code took. */
  readonly longestOwnTurnMs: number
  readonly longestGcMs: number
}

/** Watches the event loop of its process, with a timer that goes off each millisecond. */
export class Turns {
  #turns: Turn[] = []
  #pauses: Stretch[] = []
  #lastMs = performance.now()
  #lastBusyMs = busyMs()
  readonly #observer: PerformanceObserver

  constructor() {
    this.#observer = new PerformanceObserver((list) => this.#note(list.getEntries()))
    this.#observer.observe({ entryTypes: ['gc'] })
    setInterval(() => this.#look(), 1).unref()
  }

  /** Since the last call. */
  take(): LongestTurns {
    this.#look()
    this.#note(this.#observer.takeRecords())
    const [turns, pauses] = [this.#turns, this.#pauses]
    this.#turns = []
    this.#pauses = []
    const longest = (lengths: readonly number[]): number => lengths.reduce((most, one) => Math.max(most, one), 0)
    return {
      longestTurnMs: longest(turns.map(lengthOf)),
      longestBusyTurnMs: longest(turns.map((turn) => turn.busyMs)),
      longestOwnTurnMs: longest(turns.map((turn) => turn.busyMs - sharedMs(turn, pauses))),
      longestGcMs: longest(pauses.map(lengthOf)),
    }
  }

  #look(): void {
    const [now, busy] = [performance.now(), busyMs()]
    if (now - this.#lastMs >= LEAST_MS)
      this.#turns.push({ fromMs: this.#lastMs, toMs: now, busyMs: busy - this.#lastBusyMs })
    this.#lastMs = now
    this.#lastBusyMs = busy
  }

  #note(entries: readonly { readonly startTime: number; readonly duration: number }[]): void {
    for (const { startTime, duration } of entries) this.#pauses.push({ fromMs: startTime, toMs: startTime + duration })
  }
}

function busyMs(): number {
  return existsSync(SCHEDULED) ? Number(readFileSync(SCHEDULED, 'utf8').split(' ')[0]) / 1e6 : performance.now()
}

function lengthOf({ fromMs, toMs }: Stretch): number {
  return toMs - fromMs
}

function sharedMs(turn: Stretch, pauses: readonly Stretch[]): number {
  return pauses.reduce(
    (sum, { fromMs, toMs }) => sum + Math.max(0, Math.min(toMs, turn.toMs) - Math.max(fromMs, turn.fromMs)),
    0,
  )
}
