/// <reference types="node" preserve="true" />
export { AppClient, makeWorkerId } from './lib/app-client.ts'
export type {
  ClientApp,
  Connection,
  DeclaredAgent,
  DeclaredApp,
  DeclaredTable,
  DeclaredTopic,
} from './lib/declared-app.ts'
export { describeApp } from './lib/describe-app.ts'
export { AppData, type LocalApp, type LocalFiles } from './lib/local-data.ts'
