import { AsyncLocalStorage } from 'node:async_hooks'
import type { CurrentEvent, ProcessingContext } from '@millrace/core'
import type { StateContext } from '@millrace/state'
import { SmallWorker } from './small-worker.ts'

/** Scope and workers for tests of this package. */
export class SmallWorld {
  readonly contexts: AsyncLocalStorage<ProcessingContext> = new AsyncLocalStorage<ProcessingContext>()
  readonly worker: SmallWorker = new SmallWorker()
  readonly workers: SmallWorker[] = [this.worker]
  readonly deps: StateContext = { appId: 'app', contexts: this.contexts, workers: () => this.workers }

  /** Runs `fn` as an agent does, with a current event or between two. */
  inAgent<T>(event: CurrentEvent | undefined, fn: () => T): T {
    return this.contexts.run({ client: this.worker, worker: this.worker, event, agent: 'agent' }, fn)
  }

  /** Runs `fn` as a page or task of the worker does. */
  onWorker<T>(worker: SmallWorker, fn: () => T): T {
    return this.contexts.run({ client: worker, worker, event: undefined, agent: undefined }, fn)
  }
}
