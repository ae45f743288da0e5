import { partitionKey, type RecordBatch } from '@millrace/core'
import type { LostPosition } from '@millrace/core/driver'
import { taskId } from '../environment/task-id.ts'
import { afterLoss } from '../task/start-position.ts'
import type { BrokenBatchHandler } from './broken-batches.ts'
import type { Tasks } from '../task/tasks.ts'

/** Brings fetched batches to the buffers of their partitions. */
export class FetchLoop {
  readonly #tasks: Tasks
  readonly #brokenBatches: BrokenBatchHandler
  /** Partitions for which impossible timestamps were already logged. */
  readonly #clampedIn = new Set<string>()

  constructor(tasks: Tasks, brokenBatches: BrokenBatchHandler) {
    this.#tasks = tasks
    this.#brokenBatches = brokenBatches
  }

  /** Runs until the consumer is closed. Throws the consumer's errors. */
  async run(): Promise<void> {
    for await (const batch of this.#tasks.consumer.batches()) {
      if (batch.broken !== undefined) await this.#passBroken(batch)
      else this.#take(batch)
    }
  }

  async #passBroken(batch: RecordBatch): Promise<void> {
    const found = this.#tasks.sourceOf(batch)
    if (found === undefined) return
    await this.#brokenBatches.pass(batch, found)
    // The task may have been lost meanwhile, and reopened, or a reader that was held back has gone back to its position.
    const now = this.#tasks.sourceOf(batch)?.source
    if (now === found.source && now.position === batch.position) this.#take(batch)
  }

  /** Continues reading if a position is no longer in the topic. Throws the error that ends the worker. */
  goOnAfterLoss(lost: LostPosition): void {
    const { environment, consumer, topics } = this.#tasks
    const { topic, partition, position, beginning, end } = lost
    if (this.#tasks.sourceOf(lost) === undefined) return
    const task = taskId(topics.partitions(topic) ?? 0, partition)
    // Most likely another worker has read, committed and deleted the records while this one was suspended and does not
    // yet know that it has lost the task. The group's offset shows that, and the opening of the task finds any real
    // loss.
    if (position < beginning && topics.purged.has(topic))
      return this.#tasks.reopen(task, `${topic}/${partition} now begins at ${beginning}, after ${position}`)
    const { offset, again, message } = afterLoss(lost, environment.settings)
    // Everything that the task has belongs to offsets that other records will get. Its opening decides where reading
    // continues.
    if (again) return this.#tasks.reopen(task, `${topic}/${partition} now ends at ${end}, before ${position}`, lost)
    environment.log.error({ topic, partition, offset }, message)
    // A batch without records lets commits pass the hole even if no record follows.
    this.#take({ topic, partition, position, records: [], nextOffset: offset, bytes: 0, endOffset: end })
    consumer.seek(lost, offset)
  }

  #take(batch: RecordBatch): void {
    const { environment, handOut } = this.#tasks
    const { clock, sensor } = environment
    const found = this.#tasks.sourceOf(batch)
    if (found === undefined) return
    const { source } = found
    if (source.position === source.committed || source.movedAtMs < 0) source.movedAtMs = clock.monotonic()
    source.push(batch)
    sensor.batchFetched({
      topic: batch.topic,
      partition: batch.partition,
      records: batch.records.length,
      bytes: batch.bytes,
      endOffset: batch.endOffset,
      clampedTimestamps: batch.clampedTimestamps ?? 0,
    })
    if (batch.clampedTimestamps !== undefined) this.#warnOfClamped(batch)
    handOut.wake(batch.topic)
  }

  /** Logs it once per partition, because a producer that writes such times writes many. */
  #warnOfClamped(batch: RecordBatch): void {
    const key = partitionKey(batch)
    if (this.#clampedIn.has(key)) return
    this.#clampedIn.add(key)
    const { topic, partition, position, nextOffset, clampedTimestamps } = batch
    this.#tasks.environment.log.warn(
      { topic, partition, position, nextOffset },
      `${clampedTimestamps} records of ${key} from offset ${position} to ${nextOffset - 1} have timestamps beyond the range of dates; they get the nearest possible date. There may be more.`,
    )
  }
}
