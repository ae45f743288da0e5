import type { Clock, Logger } from '@millrace/core'
import type { CompressionCodecs } from '../compression/compression.ts'
import type { KafkaSettings } from '../kafka-transport-options.ts'
import type { BrokerLinks } from './broker-links.ts'
import type { ClusterView } from './cluster-view.ts'
import type { Recovery } from './recovery.ts'

/** What the parts of one transport share. */
export interface OpenStateOptions {
  readonly settings: KafkaSettings
  readonly clock: Clock
  readonly log: Logger
  readonly view: ClusterView
  readonly recovery: Recovery
  /** Connections for short questions: metadata, offsets, coordinators. Nothing that waits long goes over them. */
  readonly control: BrokerLinks
  /** Connections of a part's own. */
  readonly openLinks: () => BrokerLinks
  /** Known after `connect`. */
  readonly codecs: () => CompressionCodecs
  /** Takes a closed part off the list of what `Transport.close` closes. */
  readonly onClosed: (part: object) => void
}
