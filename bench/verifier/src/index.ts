export { Deliveries, missing } from './checks/deliveries.ts'
export { recordsOf, type LoggedRecord } from './lib/read-topic.ts'
export { WorkerProcess } from './workers/worker-process.ts'
export type { WorkerReport } from './workers/worker-messages.ts'
