import type { Clock, Logger } from '@millrace/core'
import type { CompressionCodecs } from '../compression/compression.ts'
import type { KafkaSettings } from '../kafka-transport-options.ts'
import type { BrokerLinks } from './broker-links.ts'
import type { ClusterView } from './cluster-view.ts'
import type { Reconnects } from './reconnects.ts'

/** A consumer, a producer, a reader or an admin client. */
export interface KafkaClient {
  close(): Promise<void>
}

/** What the clients of one transport share. */
export interface KafkaClientContext {
  readonly settings: KafkaSettings
  readonly clock: Clock
  readonly log: Logger
  readonly view: ClusterView
  readonly reconnects: Reconnects
  /** Connections for short questions: metadata, offsets, coordinators. No request that waits long uses them. */
  readonly control: BrokerLinks
  /** Opens connections for one client only. */
  readonly openLinks: () => BrokerLinks
  /** Known after `connect`. */
  readonly codecs: () => CompressionCodecs
  /** Removes a closed client from the clients that `Transport.close` closes. */
  readonly onClosed: (client: KafkaClient) => void
}
