import { type Clock, MillraceError } from '@millrace/core'

export interface LeaseDeps {
  readonly clock: Clock
  /** `undefined` where members are not thrown out: the lease never ends. */
  readonly sessionTimeoutMs: number | undefined
  /** `Consumer.lastHeartbeatMs`. */
  readonly lastHeartbeatMs: () => number
}

/**
 * Ownership of the worker's partitions, as far as it can know: until the session time-out has passed since its last
 * heartbeat that succeeded was sent, by whichever clock says so first: the monotonic one stands still while the machine is
 * suspended. A worker that slept longer must not write over its successor. A lease that has run out comes back when a
 * heartbeat succeeds in the same generation, for then nobody else can have taken over.
 */
export class Lease {
  readonly #deps: LeaseDeps
  #isMember = true

  constructor(deps: LeaseDeps) {
    this.#deps = deps
  }

  get valid(): boolean {
    if (!this.#isMember) return false
    const { sessionTimeoutMs, lastHeartbeatMs, clock } = this.#deps
    return sessionTimeoutMs === undefined || clock.elapsedSince(lastHeartbeatMs()) < sessionTimeoutMs
  }

  /** The group has gone on without this worker: whatever the last heartbeat said, others may own its partitions now. */
  end(): void {
    this.#isMember = false
  }

  /** It has joined again. */
  renew(): void {
    this.#isMember = true
  }

  /** Whether it has run out by itself: before the first join there is nothing to lose, and being thrown out is told elsewhere. */
  get hasRunOut(): boolean {
    return this.#isMember && this.#deps.lastHeartbeatMs() > -Infinity && !this.valid
  }

  /** Throws `LEASE_EXPIRED` when it has run out. */
  readonly check = (): void => {
    if (this.valid) return
    throw new MillraceError(
      'LEASE_EXPIRED',
      this.#isMember
        ? `No heartbeat has succeeded for ${this.#deps.sessionTimeoutMs} ms (sessionTimeout).`
        : 'The group has gone on without this worker.',
    )
  }
}
