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
 * heartbeat that succeeded was sent. A worker that slept longer must not write over its successor. A lease that has run
 * out comes back when a heartbeat succeeds in the same generation, for then nobody else can have taken over.
 */
export class Lease {
  readonly #deps: LeaseDeps

  constructor(deps: LeaseDeps) {
    this.#deps = deps
  }

  get valid(): boolean {
    const { sessionTimeoutMs, lastHeartbeatMs, clock } = this.#deps
    return sessionTimeoutMs === undefined || clock.monotonic() - lastHeartbeatMs() < sessionTimeoutMs
  }

  /** Whether there was ever one: before the first join there is nothing to lose. */
  get wasHeld(): boolean {
    return this.#deps.lastHeartbeatMs() > -Infinity
  }

  /** Throws `LEASE_EXPIRED` when it has run out. */
  readonly check = (): void => {
    if (!this.valid)
      throw new MillraceError(
        'LEASE_EXPIRED',
        `No heartbeat has succeeded for ${this.#deps.sessionTimeoutMs} ms (sessionTimeout).`,
      )
  }
}
