/// <reference types="node" preserve="true" />
export { type WorkerEnvironment, type WorkerSettings, workerSettings } from './lib/environment/worker-environment.ts'
export {
  ANY_SUBSCRIPTION,
  committedSends,
  decodeCommitMetadata,
  encodeCommitMetadata,
  parseSend,
  sendText,
} from './lib/records/commit-metadata.ts'
export { progressTopic, type ReadingPages, withPages } from './lib/records/progress-pages.ts'
export type { OffsetRange, Progress } from './lib/records/positions.ts'
export { leaderDeclaration, leaderTopic } from './lib/topics/declared-topology.ts'
export { planTopics } from './lib/topics/plan-topics.ts'
export { commandFor } from './lib/topics/provide-topics.ts'
export { createWorker } from './lib/worker/app-worker.ts'
export { brokenBatchesDeclaration, brokenBatchesTopic } from './lib/worker/broken-batches.ts'
export { type ClientOptions, createClient } from './lib/worker/create-client.ts'
export type { WorkerOptions } from './lib/worker/worker-options.ts'
export type { Client, Quiet, RebalanceChange, Worker, WorkerEvents } from './lib/worker/worker.ts'
