import { MillraceError } from '@millrace/core'
import type { WorkerOptions } from './worker-options.ts'
import type { Worker } from './worker.ts'

/** Makes a worker; nothing happens before `start`. */
export function createWorker(options: WorkerOptions): Worker {
  throw new MillraceError('WORKER_FAILED', `Worker ${options.workerId} cannot run yet.`)
}
