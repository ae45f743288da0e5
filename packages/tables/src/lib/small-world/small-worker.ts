import {
  manualClock,
  MillraceError,
  type Clock,
  type Logger,
  type OpenState,
  type Reader,
  type RecordMetadata,
  type Redact,
  redactText,
  type Sensor,
  type StateDefinition,
  type WorkerContext,
} from '@millrace/core'
import type { SmallTask } from './small-task.ts'

const quiet = (): void => {}
const log: Logger = { debug: quiet, info: quiet, warn: quiet, error: quiet }
const sensor: Sensor = {
  batchFetched: quiet,
  sendCompleted: quiet,
  commitCompleted: quiet,
  rebalanceStarted: quiet,
  rebalanceCompleted: quiet,
  recoveryProgress: quiet,
  errorRaised: quiet,
}

/** A worker for tests of this package: tasks that are simply there, and a reader that the test gives it. */
export class SmallWorker implements WorkerContext {
  readonly id: string
  readonly appId: string = 'app'
  readonly clock: Clock = manualClock()
  readonly log: Logger = log
  readonly redact: Redact = redactText
  readonly sensor: Sensor = sensor
  readonly exactlyOnce: boolean = false
  readonly signal: AbortSignal = new AbortController().signal
  readonly draining: AbortSignal = new AbortController().signal
  readonly tasks: SmallTask[] = []
  readonly failures: Error[] = []
  readerToGive: Reader | undefined
  topicPartitions = 1

  constructor(id: string = 'worker-1') {
    this.id = id
  }

  async send(): Promise<RecordMetadata> {
    throw new MillraceError('CLOSED', 'Nothing is sent in these tests.')
  }

  async partitions(): Promise<number> {
    return this.topicPartitions
  }

  async createTopics(): Promise<void> {}

  reader(): Reader {
    if (this.readerToGive === undefined) throw new MillraceError('CLOSED', 'No reader was given.')
    return this.readerToGive
  }

  openState(part: StateDefinition, partition: number): OpenState | undefined {
    return this.tasks.find((task) => task.partition === partition)?.open(part)
  }

  openStates(part: StateDefinition): ReadonlyMap<number, OpenState> {
    const found = new Map<number, OpenState>()
    for (const task of this.tasks) {
      const state = task.open(part)
      if (state !== undefined) found.set(task.partition, state)
    }
    return found
  }

  partitionsOf(): number | undefined {
    return this.tasks[0]?.partitions
  }

  fail(error: Error): void {
    this.failures.push(error)
  }
}
