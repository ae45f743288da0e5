/// <reference types="node" preserve="true" />
export type {
  CurrentEvent,
  Effect,
  HandedOutEvent,
  Readable,
  SendRequest,
  SubscriptionQueue,
} from './lib/contracts/event.ts'
export type { EventTime, StampedRecord } from './lib/contracts/event-time.ts'
export type { AssignmentView, Candidate, Leadership, RoutedTable, TaskOwner, TaskView } from './lib/contracts/group.ts'
export type {
  AgentHistograms,
  AgentStats,
  PausedStats,
  DelayStats,
  ErrorStats,
  FlowStats,
  GroupStats,
  HandlingTime,
  RebalanceStats,
  RecoveryStats,
  SourceStats,
  StateStats,
  TableStats,
  TimerStats,
  WaitingEvents,
  WaitingStats,
  WindowStats,
  WorkerStats,
  WorkerStatus,
} from './lib/contracts/stats.ts'
export type { WatermarkHold, WatermarkSource, WatermarkStats } from './lib/contracts/watermark-stats.ts'
export type {
  DueQueue,
  DueSource,
  OpenState,
  OpenStateOptions,
  OwnedTask,
  SendReceipt,
  StateDefinition,
  TaskRef,
} from './lib/contracts/task.ts'
export type { Client, EventProgress, Quiet, RebalanceChange, Worker, WorkerEvents } from './lib/contracts/worker.ts'
export type {
  ClientContext,
  ContextStorage,
  ProcessingContext,
  SubscriptionSpec,
  TopicDeclaration,
  Topology,
  WaitForTask,
  HoldReason,
  StateCopy,
  WorkerContext,
  WorkerPart,
} from './lib/contracts/worker-context.ts'
export { type WorkerEnvironment, type WorkerSettings, workerSettings } from './lib/environment/worker-environment.ts'
export {
  ANY_SUBSCRIPTION,
  committedSends,
  decodeCommitMetadata,
  encodeCommitMetadata,
  parseSend,
  sendText,
} from './lib/records/commit-metadata.ts'
export { committedStates, timeTexts } from './lib/records/committed-times.ts'
export { progressTopic, type ReadingPages, withPages } from './lib/records/progress-pages.ts'
export type { OffsetRange, Progress } from './lib/records/positions.ts'
export { leaderDeclaration, leaderTopic } from './lib/topics/declared-topology.ts'
export { planTopics } from './lib/topics/plan-topics.ts'
export { commandFor } from './lib/topics/provide-topics.ts'
export { brokenBatchesDeclaration, brokenBatchesTopic } from './lib/worker/broken-batches.ts'
export { type ClientOptions, createClient } from './lib/worker/create-client.ts'
export type { WorkerOptions } from './lib/worker/worker-options.ts'
export { createWorker } from './lib/worker/create-worker.ts'
