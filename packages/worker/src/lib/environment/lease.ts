import { type Clock, MillraceError, type Scheduled } from '@millrace/core'
import type { Consumer } from '@millrace/core/driver'

/** Something that waits for a lease which has run out. */
export interface LeaseWaiter {
  /** Called when the lease is valid again. */
  leaseIsBack(): void
}

export interface LeaseTimes {
  /** `undefined` if members are never removed for silence: the lease then never runs out. */
  readonly sessionTimeoutMs: number | undefined
  /** How often the lease is checked while something waits for it. */
  readonly heartbeatIntervalMs: number
}

/**
 * The worker's ownership of its partitions, as far as the worker can know. It runs out a session time-out after the
 * last successful heartbeat was sent, by the monotonic or the wall clock, whichever is first: the monotonic clock
 * stands still while the machine is suspended. A worker that slept longer must not overwrite the rows of its successor.
 * The lease returns when a heartbeat succeeds in the same generation, because then nobody else can have taken over.
 */
export class Lease {
  readonly #clock: Clock
  readonly #sessionTimeoutMs: number | undefined
  readonly #intervalMs: number
  readonly #waiters = new Set<LeaseWaiter>()
  #member: Pick<Consumer, 'lastHeartbeatMs'> | undefined
  #isMember = true
  #isAlone = false
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

  /** When the last successful heartbeat was sent, on the monotonic clock; `-Infinity` if there was none. */
  get lastHeartbeatMs(): number {
    return this.#member?.lastHeartbeatMs() ?? -Infinity
  }

  /** How long ago the last successful heartbeat was sent; `undefined` if there was none, or no sessions exist. */
  get ageMs(): number | undefined {
    if (this.#sessionTimeoutMs === undefined || this.lastHeartbeatMs === -Infinity) return undefined
    return this.#clock.elapsedSince(this.lastHeartbeatMs)
  }

  /** How long ago the lease ran out; 0 while it has not. */
  get expiredMs(): number {
    return Math.max((this.ageMs ?? 0) - (this.#sessionTimeoutMs ?? Infinity), 0)
  }

  get valid(): boolean {
    if (this.#isAlone) return true
    if (!this.#isMember) return false
    return (
      this.#sessionTimeoutMs === undefined || this.#clock.elapsedSince(this.lastHeartbeatMs) < this.#sessionTimeoutMs
    )
  }

  /** Called for a worker that reads nothing: it joins no group, owns nothing, and needs no heartbeats to send. */
  standAlone(): void {
    this.#isAlone = true
    this.joined()
  }

  /**
   * Ends the lease because the group has gone on without this worker. Others may own its partitions now, even if the
   * last heartbeat succeeded.
   */
  end(): void {
    this.#isMember = false
  }

  /** Renews the lease because the worker has joined again. */
  renew(): void {
    this.#isMember = true
  }

  /**
   * Whether the lease has run out for lack of heartbeats. False before the first join, when there is nothing to lose,
   * and after a loss of membership, which is reported elsewhere.
   */
  get hasRunOut(): boolean {
    return this.#isMember && this.lastHeartbeatMs > -Infinity && !this.valid
  }

  /** Throws `LEASE_EXPIRED` if the lease has run out. */
  readonly check = (): void => {
    if (this.valid) return
    throw new MillraceError(
      'LEASE_EXPIRED',
      this.#isMember
        ? `No heartbeat has succeeded for ${this.#sessionTimeoutMs} ms (sessionTimeout).`
        : 'The group has gone on without this worker.',
    )
  }

  /** Notifies `waiter` once, when the lease is back. */
  whenBack(waiter: LeaseWaiter): void {
    this.#waiters.add(waiter)
    this.#wait()
  }

  /** Called when the worker has joined: waiters are notified at once instead of at the next check. */
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
