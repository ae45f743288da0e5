export { runWorker } from './workers/run-worker.ts'
export type { ToWorker } from './workers/worker-messages.ts'
