import type { Transport } from '@millrace/core'
import type { TransportCaseName } from './transport-cases.ts'

/** What a driver's test file gives to `transportSuite`. */
export interface TransportSuiteOptions {
  /** Of the driver, for the test names. */
  readonly name: string
  /** One more client of the same broker, not connected yet. The suite connects and closes it. */
  readonly create: () => Transport | Promise<Transport>
  /** Cases that this driver cannot run, each with the reason. */
  readonly skip?: Partial<Record<TransportCaseName, string>>
  /** What the driver's side can do to itself. A case that needs one that is missing must be in `skip`. */
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
  /** Compacts a topic made with `cleanup.policy=compact`, now; resolves when it is done. */
  readonly compact?: (topic: string) => void | Promise<void>
}
