import { type Clock, MillraceError, type Scheduled } from '@millrace/core'
import type { Consumer } from '@millrace/core/driver'

/** Waits for a lease that has run out. */
export interface LeaseWaiter {
  /** The lease is valid again. */
  leaseIsBack(): void
}

export interface LeaseTimes {
  /** `undefined` where members are not thrown out: the lease never ends. */
  readonly sessionTimeoutMs: number | undefined
  /** How often it is checked while somebody waits for it. */
  readonly heartbeatIntervalMs: number
}

/**
 * Ownership of the worker's partitions, as far as it can know: until the session time-out has passed since its last
 * heartbeat that succeeded was sent, by whichever clock says so first: the monotonic one stands still while the machine is
 * suspended. A worker that slept longer must not write over its successor. A lease that has run out comes back when a
 * heartbeat succeeds in the same generation, for then nobody else can have taken over.
 */
export class Lease {
  readonly #clock: Clock
  readonly #sessionTimeoutMs: number | undefined
  readonly #intervalMs: number
  readonly #waiters = new Set<LeaseWaiter>()
  #member: Pick<Consumer, 'lastHeartbeatMs'> | undefined
  #isMember = true
  #timer: Scheduled | undefined

  constructor(clock: Clock, { sessionTimeoutMs, heartbeatIntervalMs }: LeaseTimes) {
    this.#clock = clock
    this.#sessionTimeoutMs = sessionTimeoutMs
    this.#intervalMs = heartbeatIntervalMs
  }

  /** The group member whose heartbeats count. */
  follow(member: Pick<Consumer, 'lastHeartbeatMs'>): void {
    this.#member = member
  }

  /** When the last heartbeat that succeeded was sent, on the monotonic clock; `-Infinity` before there was one. */
  get lastHeartbeatMs(): number {
    return this.#member?.lastHeartbeatMs() ?? -Infinity
  }

  /** Since the last heartbeat that succeeded was sent; `undefined` before there was one, and where there are no sessions. */
  get ageMs(): number | undefined {
    if (this.#sessionTimeoutMs === undefined || this.lastHeartbeatMs === -Infinity) return undefined
    return this.#clock.elapsedSince(this.lastHeartbeatMs)
  }

  /** For how long it has run out by itself; 0 while it has not. */
  get expiredMs(): number {
    return Math.max((this.ageMs ?? 0) - (this.#sessionTimeoutMs ?? Infinity), 0)
  }

  get valid(): boolean {
    if (!this.#isMember) return false
    return (
      this.#sessionTimeoutMs === undefined || this.#clock.elapsedSince(this.lastHeartbeatMs) < this.#sessionTimeoutMs
    )
  }

  /** The group has gone on without this worker: others may own its partitions now, even if the last heartbeat succeeded. */
  end(): void {
    this.#isMember = false
  }

  /** It has joined again. */
  renew(): void {
    this.#isMember = true
  }

  /**
   * Whether it has run out by itself: before the first join there is nothing to lose, and being thrown out is reported
   * elsewhere.
   */
  get hasRunOut(): boolean {
    return this.#isMember && this.lastHeartbeatMs > -Infinity && !this.valid
  }

  /** Throws `LEASE_EXPIRED` when it has run out. */
  readonly check = (): void => {
    if (this.valid) return
    throw new MillraceError(
      'LEASE_EXPIRED',
      this.#isMember
        ? `No heartbeat has succeeded for ${this.#sessionTimeoutMs} ms (sessionTimeout).`
        : 'The group has gone on without this worker.',
    )
  }

  /** Notifies `waiter` once, when the lease is found to be back. */
  whenBack(waiter: LeaseWaiter): void {
    this.#waiters.add(waiter)
    this.#wait()
  }

  /** The worker has joined: those who wait are notified at once instead of at the next check. */
  joined(): void {
    if (this.#timer === undefined || !this.valid) return
    this.#timer.cancel()
    this.#isBack()
  }

  close(): void {
    this.#waiters.clear()
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #wait(): void {
    this.#timer ??= this.#clock.schedule(this.#intervalMs, () => {
      if (this.valid) return this.#isBack()
      this.#timer = undefined
      this.#wait()
    })
  }

  #isBack(): void {
    this.#timer = undefined
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of waiters) waiter.leaseIsBack()
  }
}
