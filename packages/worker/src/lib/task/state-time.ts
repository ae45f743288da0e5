import type { EventTime } from '../contracts/event-time.ts'
import type { CurrentEvent } from '../contracts/event.ts'
import type { CommittedState } from '../records/committed-times.ts'
import { EventInFlight } from './event-in-flight.ts'
import type { EventOrigin } from './event-origin.ts'

/** How long a watermark may be behind the clock for partitions at their end to count as live, not as a backfill that pauses. */
const LIVE_EDGE_MS = 300_000

/** The owner of a state's time. */
export interface StateTimeOwner {
  /** The origins of the task's events. */
  readonly origins: readonly EventOrigin[]
  /** The state now waits for another time. */
  alarmSet(): void
  /** The state has a new writer, which the next commit must record. */
  touch(): void
  commitSoon(): void
}

/** The watermark of one state in one task: the lowest time that its writers have finished. */
export class StateTime implements EventTime {
  committed: number
  /** The time as committed before this task was opened. */
  readonly note: string
  readonly #owner: StateTimeOwner
  readonly #writers: Set<string>
  /** The origins that write to the state, once the task is open. */
  #origins: readonly EventOrigin[] = []
  #watermark: number
  #prepared: number
  #alarm = Infinity
  #touchAt = Infinity
  /** The state has been at the live edge since all of its writers became idle. */
  #isLive = false

  constructor(owner: StateTimeOwner, known: CommittedState | undefined, writers: readonly string[] = []) {
    this.#owner = owner
    this.#watermark = this.#prepared = this.committed = known?.watermark ?? -Infinity
    this.#writers = new Set([...(known?.writers ?? []), ...writers])
    this.note = known?.note ?? ''
  }

  /** Called once the origins of the task are known. */
  attach(): void {
    this.#origins = this.#owner.origins.filter(({ subscription }) => this.#writers.has(subscription.spec.id))
  }

  get writers(): readonly string[] {
    return [...this.#writers]
  }

  get origins(): readonly EventOrigin[] {
    return this.#origins
  }

  get watermark(): number {
    const lowest = this.#lowest(undefined)
    if (lowest !== Infinity && lowest > this.#watermark) this.#watermark = lowest
    return this.#watermark
  }

  /** The time for which the state waits; `Infinity` when it waits for none. */
  get alarm(): number {
    return Math.min(this.#alarm, this.#touchAt)
  }

  at(event: CurrentEvent): number {
    const lowest = this.#lowest(event instanceof EventInFlight ? event : undefined)
    return lowest === Infinity ? this.watermark : Math.max(this.watermark, lowest)
  }

  writtenBy(event: CurrentEvent): void {
    if (!(event instanceof EventInFlight)) return
    const { id } = event.origin.subscription.spec
    if (this.#writers.has(id)) return
    this.#writers.add(id)
    this.attach()
    this.#owner.touch()
    this.#owner.alarmSet()
  }

  wakeAt(time: number): void {
    if (time === this.#alarm) return
    this.#alarm = time
    if (!this.check()) this.#owner.alarmSet()
  }

  touchAt(time: number): void {
    if (time === this.#touchAt) return
    this.#touchAt = time
    if (!this.check()) this.#owner.alarmSet()
  }

  /** Whether the watermark has reached the time for which the state waits. If so, a commit follows. */
  check(): boolean {
    if (this.watermark < this.alarm) return false
    if (this.#touchAt <= this.#watermark) {
      this.#touchAt = Infinity
      this.#owner.touch()
    }
    if (this.#alarm <= this.#watermark) {
      this.#alarm = Infinity
      this.#owner.commitSoon()
    }
    return true
  }

  /** All of its writers are idle: at the live edge its watermark follows the clock, so that the last windows close. */
  follow(nowMs: number, idleAfterMs: number): void {
    if (this.#watermark === -Infinity || !this.isIdle) return
    this.#isLive ||= nowMs - this.#watermark <= LIVE_EDGE_MS
    if (this.#isLive) this.#watermark = Math.max(this.#watermark, nowMs - idleAfterMs)
  }

  /** A writer of the state has received a record. */
  endIdle(): void {
    this.#isLive = false
  }

  get isIdle(): boolean {
    return this.#origins.length > 0 && this.#origins.every(({ times }) => times === undefined || times.idle)
  }

  /** What a commit that is prepared now is to keep. */
  prepare(note: string): CommittedState {
    this.#prepared = this.watermark
    return { watermark: this.#prepared, note, writers: this.writers }
  }

  /** Called when the commit that was prepared last is made. */
  prepared(): void {
    this.committed = this.#prepared
  }

  /** The lowest time of the writers that are not idle; for the partition of `event`, the time up to that event. */
  #lowest(event: EventInFlight | undefined): number {
    let lowest = Infinity
    for (const origin of this.#origins) {
      const { times } = origin
      if (times === undefined) continue
      let time: number
      if (event !== undefined && origin === event.origin) time = times.stampedAt(event.number)
      else if (times.idle) continue
      else time = times.finished
      if (time < lowest) lowest = time
    }
    return lowest
  }
}
