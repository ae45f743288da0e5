import type { WireReader } from './wire-reader.ts'
import type { WireWriter } from './wire-writer.ts'

/** One request of Kafka's protocol and how its answer is read. */
export interface WireRequest<T> {
  readonly api: Api
  /** Bytes to start the writer with. */
  readonly sizeHint?: number
  encode(writer: WireWriter): void
  decode(reader: WireReader): T
}

/** A request's kind, in the one version that is used. */
export interface Api {
  readonly name: string
  readonly key: number
  readonly version: number
  /** Flexible versions have tagged fields in the headers of request and response. */
  readonly flexible: boolean
}

const api = (name: string, key: number, version: number, flexible = false): Api => ({ name, key, version, flexible })

export type ApiName =
  | 'produce'
  | 'fetch'
  | 'listOffsets'
  | 'metadata'
  | 'offsetCommit'
  | 'offsetFetch'
  | 'findCoordinator'
  | 'joinGroup'
  | 'heartbeat'
  | 'leaveGroup'
  | 'syncGroup'
  | 'describeGroups'
  | 'createTopics'
  | 'deleteTopics'
  | 'deleteRecords'
  | 'initProducerId'
  | 'addPartitionsToTxn'
  | 'addOffsetsToTxn'
  | 'endTxn'
  | 'txnOffsetCommit'
  | 'describeConfigs'
  | 'deleteGroups'

/** All of them; Kafka 2.8 is the oldest that has every one, 4.x has them all. */
export const APIS: Readonly<Record<ApiName, Api>> = {
  produce: api('Produce', 0, 8),
  fetch: api('Fetch', 1, 11),
  listOffsets: api('ListOffsets', 2, 3),
  metadata: api('Metadata', 3, 10, true),
  offsetCommit: api('OffsetCommit', 8, 7),
  offsetFetch: api('OffsetFetch', 9, 7, true),
  findCoordinator: api('FindCoordinator', 10, 2),
  joinGroup: api('JoinGroup', 11, 5),
  heartbeat: api('Heartbeat', 12, 3),
  leaveGroup: api('LeaveGroup', 13, 3),
  syncGroup: api('SyncGroup', 14, 3),
  describeGroups: api('DescribeGroups', 15, 4),
  createTopics: api('CreateTopics', 19, 4),
  deleteTopics: api('DeleteTopics', 20, 3),
  deleteRecords: api('DeleteRecords', 21, 1),
  initProducerId: api('InitProducerId', 22, 1),
  addPartitionsToTxn: api('AddPartitionsToTxn', 24, 2),
  addOffsetsToTxn: api('AddOffsetsToTxn', 25, 2),
  endTxn: api('EndTxn', 26, 2),
  txnOffsetCommit: api('TxnOffsetCommit', 28, 2),
  describeConfigs: api('DescribeConfigs', 32, 2),
  deleteGroups: api('DeleteGroups', 42, 1),
}
