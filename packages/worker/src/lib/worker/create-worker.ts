import { AppWorker } from './app-worker.ts'
import type { WorkerOptions } from './worker-options.ts'
import type { Worker } from './worker.ts'

/**
 * Makes a worker; nothing happens before `start`.
 *
 * @example
 * const worker = createWorker({ appId: 'shop', workerId: 'a1', transport, store, clock, log, sensor, parts, settings, freeze: false })
 * await worker.start()
 * await worker.stop()
 */
export function createWorker(options: WorkerOptions): Worker {
  return new AppWorker(options)
}
