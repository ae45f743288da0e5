import type { Transport } from '@millrace/core/driver'

/** What the cases need to know and have of a driver. */
export interface TransportEnvironment {
  /** One more client of the same broker, not connected yet. The suite connects and closes it. */
  readonly create: () => Transport | Promise<Transport>
  /** What the driver's side can do to itself. A case that needs one that is missing must be skipped with its reason. */
  readonly accidents?: TransportAccidents
  /** Milliseconds until a member that is dead or silent is thrown out. Default: 6,000, the least a Kafka broker takes. */
  readonly sessionTimeoutMs?: number
  /** Records of the cases that count duplicates. Default: 20,000. */
  readonly manyRecords?: number
}

export interface TransportAccidents {
  /** Ends a transport as kill -9 ends its process: no leaving, no more heartbeats, no more requests. */
  readonly kill?: (transport: Transport) => void | Promise<void>
  /** Throws the members of a transport out of their groups, while it goes on. */
  readonly expire?: (transport: Transport) => void | Promise<void>
  /**
   * Lets the members of a transport hear nothing of their groups, while what they ask for still arrives, until the
   * returned function is called.
   */
  readonly deafen?: (transport: Transport) => () => void
  /** Compacts a topic made with `cleanup.policy=compact`, now; resolves when it is done. */
  readonly compact?: (topic: string) => void | Promise<void>
}
