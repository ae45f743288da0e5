import type { Transport } from '@millrace/core/driver'

/** What the cases need from a driver. */
export interface TransportEnvironment {
  /** One more client of the same broker, not connected yet. The suite connects and closes it. */
  readonly create: () => Transport | Promise<Transport>
  /** Failures that the driver's side can cause. A case that needs a missing one must be skipped with its reason. */
  readonly accidents?: TransportAccidents
  /** Milliseconds until a dead or silent member is removed. Default: 6,000, the minimum of a Kafka broker. */
  readonly sessionTimeoutMs?: number
  /** How many records the cases send that count duplicates. Default: 20,000. */
  readonly manyRecords?: number
}

export interface TransportAccidents {
  /** Ends a transport as kill -9 ends its process: no leaving, no more heartbeats, no more requests. */
  readonly kill?: (transport: Transport) => void | Promise<void>
  /** Removes the members of a transport from their groups, while the transport continues. */
  readonly expire?: (transport: Transport) => void | Promise<void>
  /**
   * Withholds all news of their groups from the members of a transport, while their requests still arrive, until the
   * returned function is called.
   */
  readonly deafen?: (transport: Transport) => () => void
  /** Compacts a topic made with `cleanup.policy=compact`, now; resolves when it is done. */
  readonly compact?: (topic: string) => void | Promise<void>
}
