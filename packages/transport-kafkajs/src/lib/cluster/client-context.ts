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
  /** Connections for short questions: metadata, offsets, coordinators. Nothing that waits long goes over them. */
  readonly control: BrokerLinks
  /** Connections of a client's own. */
  readonly openLinks: () => BrokerLinks
  /** Known after `connect`. */
  readonly codecs: () => CompressionCodecs
  /** Takes a closed client off the list of what `Transport.close` closes. */
  readonly onClosed: (client: KafkaClient) => void
}
