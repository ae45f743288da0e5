import type { WorkerEnvironment } from './worker-environment.ts'
import type { Lease } from './lease.ts'
import type { LoopWatch } from './loop-watch.ts'
import { NOT_NOW, type ReasonBit } from './not-now.ts'

/** The longest that hand-out keeps the event loop from timers, sockets and pages. */
const LONGEST_TURN_MS = 10
/** The same limit in chunks, for a clock that stands still. */
const LONGEST_TURN_CHUNKS = 64

/** Reads events, and is told when hand-out changes: a subscription. */
export interface EventReader {
  /** Events may be handed out again, or records of this topic have come. */
  wake(topic?: string): void
  /** Events in flight may be waited for: those that only wait for more of them go on now. */
  wanted(): void
  /**
   * Events in flight are waited for, and nothing more is handed out: those that only wait for more of them are put
   * back.
   */
  drain(): void
  /** Tasks were lost. */
  purge(): void
  /** The worker has ended. */
  close(): void
}

/** Has an event that goes out by itself. */
export interface FirstReader {
  wake(): void
}

/** Whether this worker hands out events now, and whoever waits for them. */
export class HandOut {
  /** Reasons of `NOT_NOW`, each of which holds back every event; read before each. */
  blocked = 0
  /** Grows with each turn of the event loop in which something was handed out: then `refresh` is to be called again. */
  turn = 0
  readonly watch: LoopWatch
  readonly #environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>
  readonly #lease: Lease
  readonly #readers: EventReader[] = []
  #nextOrder = 0
  #turnEndsMs = 0
  #turnChunks = 0
  #inTurn = false
  /** Is woken before all others when the turn is over. */
  #first: FirstReader | undefined

  constructor(environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>, lease: Lease, watch: LoopWatch) {
    this.#environment = environment
    this.#lease = lease
    this.watch = watch
  }

  /** Notifies this reader from now on. */
  add(reader: EventReader): void {
    this.#readers.push(reader)
  }

  /** The place of a new event among all events of the worker. */
  nextOrder(): number {
    return this.#nextOrder++
  }

  block(reason: ReasonBit): void {
    this.blocked |= reason
  }

  unblock(reason: ReasonBit): void {
    if ((this.blocked & reason) === 0) return
    this.blocked &= ~reason
    this.#wakeIfOpen()
  }

  /**
   * Brings `blocked` up to date and gives it. Called before each chunk of events, and in each turn of the event loop: a
   * worker may have slept since the last.
   */
  refresh(): number {
    if (this.blocked !== 0) return this.blocked
    if (!this.#lease.valid) this.#leaseIsLost()
    else {
      const now = this.#environment.clock.monotonic()
      if (!this.#inTurn) {
        this.#beginTurn(now)
      } else if (++this.#turnChunks > LONGEST_TURN_CHUNKS || now > this.#turnEndsMs) this.block(NOT_NOW.turn)
    }
    return this.blocked
  }

  /**
   * Whether an event of `queue` may go out now as the only one of this turn of the event loop. If others have, it is the
   * first of the next turn.
   */
  alone(queue: FirstReader): boolean {
    const isFirst = !this.watch.isInRun
    if (!this.#inTurn) this.#beginTurn(this.#environment.clock.monotonic())
    this.block(NOT_NOW.turn)
    if (!isFirst) this.#first = queue
    return isFirst
  }

  /** Something has changed for a task or a partition: readers check again. */
  wake(topic?: string): void {
    for (const reader of this.#readers) reader.wake(topic)
  }

  wanted(): void {
    for (const reader of this.#readers) reader.wanted()
  }

  drain(): void {
    for (const reader of this.#readers) reader.drain()
  }

  purge(): void {
    for (const reader of this.#readers) reader.purge()
  }

  /** Nothing is handed out any more. */
  close(): void {
    this.block(NOT_NOW.closed)
    for (const reader of this.#readers) reader.close()
  }

  leaseIsBack(): void {
    this.unblock(NOT_NOW.lease)
  }

  #leaseIsLost(): void {
    const { log, settings } = this.#environment
    this.block(NOT_NOW.lease)
    if (this.#lease.hasRunOut)
      log.warn(
        {},
        `No heartbeat for ${settings.sessionTimeoutMs} ms (sessionTimeout): nothing is handed out until the group is heard of again.`,
      )
    this.#lease.whenBack(this)
  }

  #beginTurn(nowMs: number): void {
    this.#inTurn = true
    this.#turnEndsMs = nowMs + LONGEST_TURN_MS
    this.#turnChunks = 0
    setImmediate(this.#endTurn)
  }

  #wakeIfOpen(): void {
    if (this.blocked === 0) this.wake()
  }

  readonly #endTurn = (): void => {
    this.#inTurn = false
    this.turn++
    if ((this.blocked & NOT_NOW.turn) === 0) return
    this.blocked &= ~NOT_NOW.turn
    this.#first?.wake()
    this.#first = undefined
    this.#wakeIfOpen()
  }
}
