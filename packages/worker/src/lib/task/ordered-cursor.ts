import type { RawRecord } from '@millrace/core'
import { NOT_NOW } from '../environment/not-now.ts'
import type { Progress } from '../records/positions.ts'
import { type CursorOptions, PartitionCursor } from './cursor.ts'
import type { OrderedMember } from './next-by-time.ts'
import type { TimeOrder } from './time-order.ts'

export interface OrderedCursorOptions extends CursorOptions {
  readonly order: TimeOrder
  /** At equal times, the lower rank goes first. */
  readonly rank: number
}

/** The cursor of a subscription whose events go out in the order of their times, together with those of other cursors. */
export class OrderedCursor extends PartitionCursor implements OrderedMember {
  readonly rank: number
  /** The arrivals in the group when the next record became known. */
  since = 0
  readonly #order: TimeOrder
  #head: RawRecord | undefined
  /** The end of the partition when the broker was last asked, and the arrivals in the group at that moment. */
  #end = Infinity
  #endSince = -1
  #isInFlight = false
  #isWaitedFor = false

  constructor(options: OrderedCursorOptions, progress: Progress) {
    super(options, progress)
    this.rank = options.rank
    this.#order = options.order
    options.order.add(this)
  }

  override get hasMore(): boolean {
    return this.#head !== undefined || super.hasMore
  }

  override get waitsForEvents(): boolean {
    return this.#isWaitedFor || super.waitsForEvents
  }

  get time(): number | undefined {
    return this.#head?.timestamp
  }

  get emptySince(): number {
    if ((this.blocked & NOT_NOW.codec) !== 0) return -1
    const readTo = this.isDetached ? this.tracker.readTo : this.source.position
    return readTo >= this.#end ? this.#endSince : -1
  }

  /** The arrivals in the group when the broker was last asked for the partition's end. */
  get endSince(): number {
    return this.#endSince
  }

  get isInFlight(): boolean {
    return this.#isInFlight
  }

  override arrived(): void {
    super.arrived()
    this.#order.arrived()
  }

  override refresh(): number {
    this.#order.settleIfGiven()
    return super.refresh()
  }

  override next(): RawRecord | undefined {
    this.#order.settleIfGiven()
    const head = this.#head
    if (head === undefined || (this.blocked & NOT_NOW.order) !== 0) return undefined
    this.#head = undefined
    this.#isInFlight = true
    this.#order.given()
    return head
  }

  override detach(): void {
    super.detach()
    this.#head = undefined
  }

  /** The next record was not handed out: it is read again. */
  override restarted(): void {
    this.#head = undefined
    super.restarted()
  }

  override finished(number: number): void {
    super.finished(number)
    if (this.tracker.passed !== this.tracker.handed) return
    this.#isInFlight = false
    this.#isWaitedFor = false
    this.#order.settle()
  }

  /** Fetches the next record from the source, if there is one. */
  fill(arrivals: number): void {
    if (this.#head !== undefined || (this.blocked & NOT_NOW.empty) !== 0) return
    this.#head = super.next()
    this.since = arrivals
  }

  /** The broker was asked after this many arrivals, and reported this end. */
  endsAt(end: number, arrivals: number): void {
    this.#end = end
    this.#endSince = arrivals
    this.source.endSeen(end)
  }

  /** Sets whether its next record may go out. Returns true if it may now and might not before. */
  allow(isNext: boolean): boolean {
    const before = this.blocked
    const isHeld = this.#head !== undefined && !isNext
    this.blocked = isHeld ? before | NOT_NOW.order : before & ~NOT_NOW.order
    return isNext && this.blocked !== before
  }

  /**
   * Another member of the group waits for its events in flight: batches that only further events could fill are handed
   * on.
   */
  waitFor(): void {
    if (this.#isWaitedFor) return
    this.#isWaitedFor = true
    this.task.handOut.wanted()
  }
}
