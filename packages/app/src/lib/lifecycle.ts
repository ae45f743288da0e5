import { MillraceError, toError } from '@millrace/core'
import { makeWorkerId } from '@millrace/client'
import type { AppRuntime, RunningWorker } from './app-runtime.ts'

/** `app.start` and `app.stop`: the single worker that an app runs by itself. */
export class Lifecycle {
  readonly #runtime: AppRuntime
  #workerId: string | undefined
  #running: RunningWorker | undefined
  #launched: Promise<RunningWorker> | undefined
  #stopping: Promise<void> | undefined
  #finished: Promise<void> | undefined

  constructor(runtime: AppRuntime) {
    this.#runtime = runtime
  }

  get workerId(): string | undefined {
    return this.#workerId
  }

  get running(): RunningWorker | undefined {
    return this.#running
  }

  /** Throws `ALREADY_STARTED` while a worker runs or stops. */
  start(): Promise<void> {
    if (this.#launched !== undefined)
      throw new MillraceError('ALREADY_STARTED', 'app.start() was called while the app was running.')
    this.#workerId = makeWorkerId()
    const launched = this.#runtime.launch({ workerId: this.#workerId })
    this.#launched = launched
    this.#finished = launched.then(({ worker }) => worker.finished)
    // Callers that wait for `finished` get the error as well.
    this.#finished.catch((error: unknown) => this.#runtime.listeners.notify('error', toError(error)))
    return this.#run(launched)
  }

  async #run(launched: Promise<RunningWorker>): Promise<void> {
    const running = await launched
    this.#running = running
    await running.worker.start()
    this.#runtime.listeners.notify('started')
  }

  /** Safe to call twice, before `start` has resolved, and after the worker has failed. */
  async stop({ hard = false }: { readonly hard?: boolean }): Promise<void> {
    if (this.#stopping === undefined || hard) this.#stopping = this.#stop(hard)
    await this.#stopping
  }

  async #stop(hard: boolean): Promise<void> {
    this.#runtime.listeners.notify('beforeStop')
    try {
      const running = await this.#launched
      // Concurrently: if the broker hangs, both may use their full time.
      await Promise.all([running?.worker.stop({ hard }), this.#runtime.client.close()])
    } finally {
      await this.#runtime.client.close()
      this.#running = undefined
      this.#launched = undefined
      this.#stopping = undefined
    }
  }

  /** For the last worker. Throws `NO_WORKER` if none was started. */
  async finished(): Promise<void> {
    if (this.#finished === undefined) throw new MillraceError('NO_WORKER', 'The app was not started.')
    await this.#finished
  }
}
