import type { Worker as WorkerContract } from '../contracts/worker.ts'
import type { WorkerOptions } from './worker-options.ts'
import { Worker } from './worker.ts'

/**
 * Makes a worker; nothing happens before `start`.
 *
 * @example
 * const worker = createWorker({ appId: 'shop', workerId: 'a1', transport, store, clock, log, sensor, parts, settings,
 * freeze: false }) await worker.start() await worker.stop()
 */
export function createWorker(options: WorkerOptions): WorkerContract {
  return new Worker(options)
}
