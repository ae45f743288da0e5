import { repliesTopic, type WorkerContext } from '@millrace/core'

/**
 * The app's topic of replies, as far as a worker knows it: whoever asks first makes it. Requests say where their reply should
 * go, and anybody may write one.
 */
export class ReplyTopic {
  readonly name: string
  readonly #worker: Pick<WorkerContext, 'appId' | 'partitions'>
  #partitions: number | undefined
  #isLookedFor = false

  constructor(worker: Pick<WorkerContext, 'appId' | 'partitions'>) {
    this.name = repliesTopic(worker.appId)
    this.#worker = worker
  }

  /** `undefined` while the topic is not known; it is looked for then. */
  get partitions(): number | undefined {
    if (this.#partitions === undefined && !this.#isLookedFor) {
      this.#isLookedFor = true
      this.#worker.partitions(this.name).then(
        (found) => void (this.#partitions = found),
        // Not there: the next request has it looked for again.
        () => void (this.#isLookedFor = false),
      )
    }
    return this.#partitions
  }
}
