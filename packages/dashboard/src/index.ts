/// <reference types="node" preserve="true" />
export { dashboard } from './lib/dashboard.ts'
export type { HistoryAnswer, LiveAnswer, LiveWorker } from './lib/app-view.ts'
export type { HistoryPoint } from './lib/history.ts'
export type { Headline, Problem } from './lib/problems.ts'
export type { WatchedWorker } from './lib/worker-watch.ts'
