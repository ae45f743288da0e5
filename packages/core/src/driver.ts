/// <reference types="node" preserve="true" />
export type { GroupAssignment, GroupAssignor, GroupMember, GroupView } from './contracts/group.ts'
export type {
  Checkpoint,
  RangeOptions,
  Row,
  StoreCapabilities,
  StoreChange,
  StoreDriver,
  StorePartition,
} from './contracts/store.ts'
export type {
  Admin,
  Isolation,
  CommittedOptions,
  MemberInfo,
  PartitionOffsets,
  PartitionPosition,
  TopicInfo,
  TopicSettings,
  TopicSpec,
} from './contracts/admin.ts'
export type {
  AssignmentChange,
  Consumer,
  ConsumerOptions,
  BrokenBatches,
  ReaderOptions,
  LostPosition,
  Reader,
  RebalanceListener,
  Transport,
  BrokerState,
  TransportCapabilities,
  TransportDeps,
} from './contracts/transport.ts'
export type {
  DelayedPartition,
  Producer,
  SendOptions,
  SendOutcome,
  TransactionalProducer,
} from './contracts/producer.ts'
export { type PartitionStretch, type ReadLimits, readStretches, readToEnd } from './lib/lifecycle/read-stretches.ts'
export {
  murmur2,
  partitionForKey,
  spreadPartitioner,
  type SpreadOptions,
  type SpreadPartitioner,
} from './lib/partitioning/partitioners.ts'
export { assignmentChange, checkOffset, type PartitionChange } from './lib/partitioning/shared-by-drivers.ts'
