import { partitionKey, toError } from '@millrace/core'
import type { Admin } from '@millrace/core/driver'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import { nextByTime } from './next-by-time.ts'
import type { OrderedCursor } from './ordered-cursor.ts'
import type { Task } from './task.ts'

/** The pause before the broker is asked again for the ends of partitions after a failure. */
const ASK_AGAIN_MS = 1000

/**
 * Hands out the events of several cursors of one task in the order of their times. The earliest record goes out once
 * all events of the other cursors have finished and none of them can receive an earlier one: each has a later record
 * here, or the broker reported, after the earliest record arrived, that it has no more.
 */
export class TimeOrder {
  readonly #task: Pick<Task, 'closed' | 'handOut'>
  readonly #environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>
  readonly #admin: Pick<Admin, 'offsets'>
  readonly #members: OrderedCursor[] = []
  #arrivals = 0
  #isAsking = false
  #isSettling = false
  /** A record has gone out since the next one was decided. */
  #isGiven = false
  #isSettlingSoon = false
  #isWaking = false
  /** Since when the earliest record waits for `alignWait`; monotonic. */
  #waitingSinceMs: number | undefined
  #isTimed = false

  constructor(
    task: Pick<Task, 'closed' | 'handOut'>,
    environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>,
    admin: Pick<Admin, 'offsets'>,
  ) {
    this.#task = task
    this.#environment = environment
    this.#admin = admin
  }

  add(member: OrderedCursor): void {
    this.#members.push(member)
  }

  /** Whether the broker is being asked for the ends of partitions. */
  get isAsking(): boolean {
    return this.#isAsking
  }

  /** Called when a batch has arrived for some member. */
  arrived(): void {
    this.#arrivals++
    this.settle()
  }

  /**
   * Called when a record goes out. The next one is decided once this one has its number, because numbers, and the times
   * by number, follow the order of the partition.
   */
  given(): void {
    this.#isGiven = true
    if (this.#isSettlingSoon) return
    this.#isSettlingSoon = true
    queueMicrotask(this.#settleSoon)
  }

  /** Settles if a record went out since the last time. */
  settleIfGiven(): void {
    if (this.#isGiven) this.settle()
  }

  /** Called when a record has arrived, gone out or finished: decides which one goes out next. */
  settle(): void {
    if (this.#isSettling || this.#task.closed) return
    this.#isSettling = true
    this.#isGiven = false
    const members = this.#members
    for (const member of members) member.fill(this.#arrivals)
    const { earliest, inFlight, unknown } = nextByTime(members)
    for (const member of inFlight) member.waitFor()
    if (earliest !== undefined && unknown.length > 0) this.#ask(unknown, earliest)
    const isNext = inFlight.length === 0 && unknown.length === 0 && !this.#mustAlign(earliest)
    let isFreed = false
    for (const member of members) if (member.allow(isNext && member === earliest)) isFreed = true
    this.#isSettling = false
    if (isFreed) this.#wakeSoon()
  }

  /** Whether the earliest record still waits for `alignWait`, because some other member has no record here. */
  #mustAlign(earliest: OrderedCursor | undefined): boolean {
    const { settings, clock } = this.#environment
    if (settings.alignWaitMs === 0) return false
    if (earliest === undefined || this.#members.every(({ time }) => time !== undefined)) {
      this.#waitingSinceMs = undefined
      return false
    }
    const now = clock.monotonic()
    this.#waitingSinceMs ??= now
    const leftMs = this.#waitingSinceMs + settings.alignWaitMs - now
    if (leftMs > 0) this.#settleIn(leftMs)
    return leftMs > 0
  }

  #settleIn(ms: number): void {
    if (this.#isTimed) return
    this.#isTimed = true
    this.#environment.clock.schedule(ms, () => {
      this.#isTimed = false
      this.settle()
    })
  }

  /** Wakes later, because this may be in the middle of an event's end. */
  #wakeSoon(): void {
    if (this.#isWaking) return
    this.#isWaking = true
    queueMicrotask(this.#wake)
  }

  readonly #settleSoon = (): void => {
    this.#isSettlingSoon = false
    this.settleIfGiven()
  }

  readonly #wake = (): void => {
    this.#isWaking = false
    this.#task.handOut.wake()
  }

  #ask(unknown: readonly OrderedCursor[], earliest: OrderedCursor): void {
    // The others were asked about already, so the records that the broker has of them will arrive.
    const members = unknown.filter(({ endSince }) => endSince < earliest.since)
    if (!this.#isAsking && members.length > 0) void this.#findEnds(members)
  }

  async #findEnds(members: readonly OrderedCursor[]): Promise<void> {
    const { log, settings } = this.#environment
    const arrivals = this.#arrivals
    this.#isAsking = true
    try {
      const sources = members.map(({ source }) => source)
      const found = await this.#admin.offsets(sources, settings.isolation)
      const ends = new Map(found.map((one) => [partitionKey(one), one.end]))
      for (const member of members) member.endsAt(ends.get(partitionKey(member.source)) ?? Infinity, arrivals)
      this.#isAsking = false
    } catch (thrown) {
      // Debug only: if the broker is gone for a while, other parts of the transport report it.
      log.debug(
        { error: toError(thrown).message },
        'The broker did not report the ends of partitions without records here.',
      )
      this.#isAsking = false
      this.#settleIn(ASK_AGAIN_MS)
      return
    }
    this.settle()
  }
}
