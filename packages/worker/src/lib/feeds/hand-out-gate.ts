import type { Clock } from '@millrace/core'
import type { Lease } from '../group/lease.ts'
import type { LoopWatch } from './loop-watch.ts'

/** Why nothing is handed out, as bits. */
export const BLOCKED_BY = {
  rebalance: 1,
  /** The outbox is full. */
  outbox: 2,
  /** This turn of the event loop was long enough. */
  turn: 4,
  /** The lease has run out. */
  lease: 8,
  /** The worker stops. */
  stop: 16,
  /** Changed rows are over their bound. */
  rows: 32,
} as const

type Block = (typeof BLOCKED_BY)[keyof typeof BLOCKED_BY]

/** Longest time in which hand-out keeps the event loop from timers, sockets and pages. */
const LONGEST_TURN_MS = 10
/** The same under a clock that stands still. */
const LONGEST_TURN_CHUNKS = 64

export interface GateDeps {
  readonly clock: Clock
  readonly lease: Lease
  readonly watch: LoopWatch
  /** Hand-out may go on: feeds that wait should look again. */
  readonly onOpen: () => void
  /** Found without a lease; unblock when it is back. */
  readonly onLeaseLost: () => void
}

/** Whether events are handed out at all, on this worker, now. */
export class HandOutGate {
  /** 0 when open; read before each event. */
  blocked = 0
  /** Grows with each turn of the event loop in which something was handed out: then `admit` is to be asked again. */
  turn = 0
  /** Nothing new is taken from the buffers: changed rows are over their bound. */
  closedToNew = false
  readonly watch: LoopWatch
  #finishing = 0
  #nextOrder = 0
  readonly #deps: GateDeps
  #turnEndsMs = 0
  #turnChunks = 0
  #inTurn = false

  constructor(deps: GateDeps) {
    this.#deps = deps
    this.watch = deps.watch
  }

  /** For an event that is handed out for the first time: among all of the worker. */
  nextOrder(): number {
    return this.#nextOrder++
  }

  block(reason: Block): void {
    this.blocked |= reason
  }

  unblock(reason: Block): void {
    if ((this.blocked & reason) === 0) return
    this.blocked &= ~reason
    if (this.blocked === 0) this.#deps.onOpen()
  }

  /** Changed rows are over their bound, or there is room again. */
  rowsFull(full: boolean): void {
    this.closedToNew = full
    this.#settleRows()
  }

  /**
   * A task can be cut only when some of its events have finished, or that is over. Until then what was taken from the
   * buffers goes on although rows are over their bound: only a cut makes room for them.
   */
  finishing(on: boolean): void {
    this.#finishing += on ? 1 : -1
    this.#settleRows()
  }

  #settleRows(): void {
    if (this.closedToNew && this.#finishing === 0) this.block(BLOCKED_BY.rows)
    else if ((this.blocked & BLOCKED_BY.rows) !== 0) this.unblock(BLOCKED_BY.rows)
    else if (!this.closedToNew && this.blocked === 0) this.#deps.onOpen()
  }

  /** Called before each chunk of events, and in each turn of the event loop: a worker may have slept since the last. */
  admit(): boolean {
    if (this.blocked !== 0) return false
    if (!this.#deps.lease.valid) {
      this.block(BLOCKED_BY.lease)
      this.#deps.onLeaseLost()
      return false
    }
    const now = this.#deps.clock.monotonic()
    if (!this.#inTurn) {
      this.#inTurn = true
      this.watch.look()
      this.#turnEndsMs = now + LONGEST_TURN_MS
      this.#turnChunks = 0
      setImmediate(this.#endTurn)
    } else if (++this.#turnChunks > LONGEST_TURN_CHUNKS || now > this.#turnEndsMs) {
      this.block(BLOCKED_BY.turn)
      return false
    }
    return true
  }

  readonly #endTurn = (): void => {
    this.#inTurn = false
    this.turn++
    this.unblock(BLOCKED_BY.turn)
  }
}
