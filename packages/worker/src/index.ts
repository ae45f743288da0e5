/// <reference types="node" preserve="true" />
export { AppClient, makeWorkerId } from './lib/client/app-client.ts'
export type {
  ClientApp,
  Connection,
  DeclaredAgent,
  DeclaredApp,
  DeclaredTable,
  DeclaredTopic,
} from './lib/client/declared-app.ts'
export { AppData, type LocalApp, type LocalFiles } from './lib/client/local-data.ts'
export { describeApp } from './lib/client/describe-app.ts'
export { type WorkerEnvironment, type WorkerSettings, workerSettings } from './lib/environment/worker-environment.ts'
export { type ClientOptions, createClient } from './lib/worker/create-client.ts'
export { createWorker } from './lib/worker/app-worker.ts'
export type { WorkerOptions } from './lib/worker/worker-options.ts'
export type { Client, Quiet, RebalanceChange, Worker, WorkerEvents } from './lib/worker/worker.ts'
