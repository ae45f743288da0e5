import type { WorkerEnvironment } from './worker-environment.ts'
import type { Lease } from './lease.ts'
import type { LoopWatch } from './loop-watch.ts'
import { NOT_NOW, type ReasonBit } from './not-now.ts'

/** The longest time for which hand-out keeps the event loop from timers, sockets and pages. */
const LONGEST_TURN_MS = 10
/** The same limit as a number of chunks, for a clock that stands still. */
const LONGEST_TURN_CHUNKS = 64

/** A subscription, which reads events and is notified when hand-out changes. */
export interface EventReader {
  /** Called when events may be handed out again, or records of this topic have arrived. */
  wake(topic?: string): void
  /** Called when something may wait for events in flight: a batch that waits for more events must go out now. */
  wanted(): void
  /**
   * Called when hand-out has stopped and events in flight are waited for: a batch that waits for more events is put
   * back.
   */
  drain(): void
  /** Called when tasks were lost. */
  purge(): void
  /** Called when the worker has ended. */
  close(): void
}

/** A reader with an event that must go out alone. */
export interface FirstReader {
  wake(): void
}

/** Whether this worker hands out events now. Wakes readers that wait for it. */
export class HandOut {
  /** Reasons of `NOT_NOW`, each of which holds back every event. Read before each event. */
  blocked = 0
  /**
   * Grows with each turn of the event loop in which something was handed out. After a change `refresh` must be called
   * again.
   */
  turn = 0
  readonly watch: LoopWatch
  readonly #environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>
  readonly #lease: Lease
  readonly #readers: EventReader[] = []
  #nextOrder = 0
  #turnEndsMs = 0
  #turnChunks = 0
  #inTurn = false
  /** The reader that is woken before all others after this turn. */
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

  /** The number of a new event in the order of all events of the worker. */
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
   * Updates and returns `blocked`. Called before each chunk of events and in each turn of the event loop, because the
   * worker may have been suspended since the last call.
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
   * Whether an event of `queue` may go out now as the only one of this turn of the event loop. If others went out, it
   * becomes the first of the next turn.
   */
  alone(queue: FirstReader): boolean {
    const isFirst = !this.watch.isInRun
    if (!this.#inTurn) this.#beginTurn(this.#environment.clock.monotonic())
    this.block(NOT_NOW.turn)
    if (!isFirst) this.#first = queue
    return isFirst
  }

  /** Called when something has changed for a task or a partition: readers check again. */
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

  /** Ends hand-out for good. */
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
        `No heartbeat for ${settings.sessionTimeoutMs} ms (sessionTimeout): nothing is handed out until a heartbeat succeeds.`,
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
