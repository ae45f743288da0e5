import type { WireReader } from './wire-reader.ts'
import type { WireWriter } from './wire-writer.ts'

/** One request of Kafka's protocol, and how its answer is read. */
export interface WireRequest<T> {
  readonly api: Api
  /** Bytes to start the writer with. */
  readonly sizeHint?: number
  encode(writer: WireWriter): void
  decode(reader: WireReader): T
}

/** The kind of a request, in the one version that is used. */
export interface Api {
  readonly name: string
  readonly key: number
  readonly version: number
  /** Flexible versions have tagged fields in the headers of request and response. */
  readonly flexible?: true
}

/** All requests in use. Kafka 2.8 is the oldest version that supports each of them; 4.x supports them all. */
export const APIS = {
  produce: { name: 'Produce', key: 0, version: 8 },
  fetch: { name: 'Fetch', key: 1, version: 11 },
  listOffsets: { name: 'ListOffsets', key: 2, version: 3 },
  metadata: { name: 'Metadata', key: 3, version: 10, flexible: true },
  offsetCommit: { name: 'OffsetCommit', key: 8, version: 7 },
  offsetFetch: { name: 'OffsetFetch', key: 9, version: 7, flexible: true },
  findCoordinator: { name: 'FindCoordinator', key: 10, version: 2 },
  joinGroup: { name: 'JoinGroup', key: 11, version: 5 },
  heartbeat: { name: 'Heartbeat', key: 12, version: 3 },
  leaveGroup: { name: 'LeaveGroup', key: 13, version: 3 },
  syncGroup: { name: 'SyncGroup', key: 14, version: 3 },
  describeGroups: { name: 'DescribeGroups', key: 15, version: 4 },
  createTopics: { name: 'CreateTopics', key: 19, version: 4 },
  deleteTopics: { name: 'DeleteTopics', key: 20, version: 3 },
  deleteRecords: { name: 'DeleteRecords', key: 21, version: 1 },
  initProducerId: { name: 'InitProducerId', key: 22, version: 1 },
  addPartitionsToTxn: { name: 'AddPartitionsToTxn', key: 24, version: 2 },
  addOffsetsToTxn: { name: 'AddOffsetsToTxn', key: 25, version: 2 },
  endTxn: { name: 'EndTxn', key: 26, version: 2 },
  txnOffsetCommit: { name: 'TxnOffsetCommit', key: 28, version: 2 },
  describeConfigs: { name: 'DescribeConfigs', key: 32, version: 2 },
  deleteGroups: { name: 'DeleteGroups', key: 42, version: 1 },
} as const
