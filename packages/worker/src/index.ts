/// <reference types="node" preserve="true" />
export { ANY_SUBSCRIPTION, decodeCommitMetadata } from './lib/commit/commit-metadata.ts'
export { planSkip } from './lib/commit/plan-skip.ts'
export { brokenBatchesTopic } from './lib/feeds/broken-batches.ts'
export { leaderTopic } from './lib/group/elections.ts'
export type { RecoveryStats } from './lib/restore/recovery.ts'
export { type ClientOptions, createClient } from './lib/worker/create-client.ts'
export { createWorker } from './lib/worker/create-worker.ts'
export type { WorkerOptions, WorkerSettings } from './lib/worker/worker-options.ts'
export { workerSettings } from './lib/worker/worker-settings.ts'
export type {
  AgentStats,
  ErrorStats,
  FlowStats,
  PartStats,
  RebalanceStats,
  SourceStats,
  WorkerStats,
  WorkerStatus,
} from './lib/worker/worker-stats.ts'
export type { AssignmentView, Client, Quiet, TaskOwner, TaskView, Worker, WorkerEvents } from './lib/worker/worker.ts'
