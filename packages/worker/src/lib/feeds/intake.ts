import {
  type Clock,
  type Consumer,
  type Logger,
  type LostPosition,
  partitionKey,
  type RecordBatch,
  type Sensor,
} from '@millrace/core'
import type { Rebalance } from '../group/rebalance.ts'
import { afterLoss, type LossRules } from '../tasks/after-loss.ts'
import { taskId } from '../tasks/task-id.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { BrokenBatches } from './broken-batches.ts'
import type { Subscription } from './subscription.ts'

export interface IntakeDeps {
  readonly consumer: Pick<Consumer, 'batches' | 'seek'>
  readonly rules: LossRules
  readonly clock: Pick<Clock, 'monotonic'>
  readonly log: Logger
  readonly sensor: Pick<Sensor, 'batchFetched'>
  readonly topics: TopicDirectory
  readonly brokenBatches: Pick<BrokenBatches, 'pass'>
  readonly subscriptions: () => readonly Subscription[]
  readonly sourceOf: Rebalance['sourceOf']
  /** Opens a task again, if it is here. `cutOff`: a partition of it ends before what had been read. */
  readonly reopen: (id: string, reason: string, cutOff?: LostPosition) => void
}

/** Fetched batches on their way to the buffers of their partitions. */
export class Intake {
  readonly #deps: IntakeDeps
  /** Partitions of which it has been said that times in them are beyond any date. */
  readonly #clampedIn = new Set<string>()

  constructor(deps: IntakeDeps) {
    this.#deps = deps
  }

  /** Until the consumer is closed. Throws what the consumer fails with. */
  async run(): Promise<void> {
    for await (const batch of this.#deps.consumer.batches()) {
      if (batch.broken !== undefined) await this.#passBroken(batch)
      else this.#take(batch)
    }
  }

  async #passBroken(batch: RecordBatch): Promise<void> {
    const { brokenBatches, sourceOf } = this.#deps
    const found = sourceOf(batch)
    if (found === undefined) return
    await brokenBatches.pass(batch, found)
    // Its task may have been lost meanwhile, and opened again somewhere else in the partition.
    if (sourceOf(batch)?.source === found.source) this.#take(batch)
  }

  /** Where reading goes on when a position is not in the topic any more. Throws what ends the worker. */
  goOnAfterLoss(lost: LostPosition): void {
    const { consumer, rules, log, topics, sourceOf, reopen } = this.#deps
    const { topic, partition, position, beginning, end } = lost
    if (sourceOf(lost) === undefined) return
    const task = taskId(topics.partitions(topic) ?? 0, partition)
    // Most likely another worker has read, committed and deleted it while this one slept and was not told yet that the task is
    // not its own any more. The group's offset says so, and the opening finds it if records are lost after all.
    if (position < beginning && topics.purged.has(topic))
      return reopen(task, `${topic}/${partition} begins at ${beginning} by now, behind ${position}`)
    const { offset, again, told } = afterLoss(lost, rules)
    // All that the task has belongs to offsets that will be given to other records. The opening tells where reading goes on.
    if (again) return reopen(task, `${topic}/${partition} ends at ${end} by now, before ${position}`, lost)
    log.error({ topic, partition, offset }, told)
    // As a batch without records: so that the commits pass the hole even when nothing follows it.
    this.#take({ topic, partition, position, records: [], nextOffset: offset, bytes: 0, endOffset: end })
    consumer.seek(lost, offset)
  }

  #take(batch: RecordBatch): void {
    const { clock, sensor, subscriptions, sourceOf } = this.#deps
    const found = sourceOf(batch)
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
    if (batch.clampedTimestamps !== undefined) this.#tellClamped(batch)
    for (const subscription of subscriptions()) if (subscription.spec.topics.includes(batch.topic)) subscription.wake()
  }

  /** Once of each partition: a producer that writes such times writes many. */
  #tellClamped(batch: RecordBatch): void {
    const key = partitionKey(batch)
    if (this.#clampedIn.has(key)) return
    this.#clampedIn.add(key)
    const { topic, partition, position, nextOffset, clampedTimestamps } = batch
    this.#deps.log.warn(
      { topic, partition, position, nextOffset },
      `${clampedTimestamps} records of ${key} from offset ${position} to ${nextOffset - 1} have times that no date can be; they count as the nearest one that can. There may be more.`,
    )
  }
}
