import { manualClock, type ManualClock, NO_HEADERS } from '@millrace/core'
import { NOT_NOW } from '../environment/not-now.ts'
import type { WorkerSettings } from '../environment/worker-environment.ts'
import { aCursor, aTask, TasksAlone } from '../fixtures/task.fixture.ts'
import type { PartitionCursor } from '../task/cursor.ts'
import type { EventInFlight } from '../task/event-in-flight.ts'
import type { Refusals } from '../task/event-origin.ts'
import type { Task } from '../task/task.ts'
import type { RecordQueue } from './record-queue.ts'
import { Subscription } from './subscription.ts'

export interface InstancesOptions {
  readonly instances: number
  readonly ordering?: 'key' | 'none'
  readonly partitions?: number
  readonly maxSorted?: number
  readonly settings?: Partial<WorkerSettings>
  /** Known failures of events. */
  readonly refusals?: Refusals
}

/** Instances of an agent over partitions of the topic `in`, each in an open task of its own. Nothing has arrived yet. */
export class Instances {
  readonly clock: ManualClock = manualClock()
  readonly worker: TasksAlone
  readonly subscription: Subscription
  readonly tasks: readonly Task[]
  readonly cursors: readonly PartitionCursor[]

  constructor({ instances, ordering = 'key', partitions = 1, maxSorted = 1000, settings, refusals }: InstancesOptions) {
    const { clock } = this
    const worker = (this.worker = new TasksAlone(clock, settings))
    const spec = { id: 'a', topics: ['in'], agent: 'a', instances, ordering } as const
    this.subscription = new Subscription(spec, clock, { handOut: worker.handOut, maxSorted })
    this.tasks = Array.from({ length: partitions }, (_, partition) =>
      aTask(worker, { topic: 'in', partition }, partitions),
    )
    this.cursors = this.tasks.map((task) => aCursor(task, worker, { subscription: this.subscription, refusals }))
    for (const [partition, task] of this.tasks.entries()) {
      const cursor = this.cursor(partition)
      task.recovered([{ source: cursor.source, cursors: [cursor] }], [])
      task.begin()
    }
    this.subscription.add(this.cursors)
  }

  queue(instance: number): RecordQueue {
    const queue = this.subscription.queues[instance]
    if (queue === undefined) throw new Error(`There is no instance ${instance}.`)
    return queue
  }

  cursor(partition: number): PartitionCursor {
    const cursor = this.cursors[partition]
    if (cursor === undefined) throw new Error(`There is no partition ${partition}.`)
    return cursor
  }

  /** Records with these keys have been fetched. */
  arrive(partition: number, keys: readonly (string | null)[]): void {
    if (keys.length === 0) return
    const { source } = this.cursor(partition)
    const position = source.position
    const nextOffset = position + keys.length
    source.push({
      ...{ topic: 'in', partition, position, nextOffset, endOffset: nextOffset, bytes: keys.length },
      records: keys.map((key, i) => ({
        ...{ offset: position + i, timestamp: 0, value: null, headers: NO_HEADERS },
        key: key === null ? null : Buffer.from(key),
      })),
    })
    this.worker.handOut.wake('in')
  }

  /** The next event of an instance, in a further turn of the event loop if this one is used up. */
  async take(instance: number): Promise<EventInFlight | undefined> {
    const event = this.queue(instance).take()
    if (event !== undefined || (this.worker.handOut.blocked & NOT_NOW.turn) === 0) return event
    await new Promise((resolve) => setImmediate(resolve))
    return this.queue(instance).take()
  }

  /** Takes and finishes what an instance can get, at most so many events. */
  async takeAll(instance: number, most: number = Infinity): Promise<readonly EventInFlight[]> {
    const taken: EventInFlight[] = []
    while (taken.length < most) {
      const event = await this.take(instance)
      if (event === undefined) break
      event.finish()
      taken.push(event)
    }
    return taken
  }

  /** How many records of a partition were given to instances, taken by them or not. */
  sortedOf(partition: number): number {
    return this.cursor(partition).tracker.handed
  }

  async lose(partition: number): Promise<void> {
    await this.tasks[partition]?.close('another worker has it now')
    this.subscription.purge()
  }
}

/** `partition@offset` of each. */
export function placesOf(events: readonly EventInFlight[]): readonly string[] {
  return events.map(({ partition, offset }) => `${partition}@${offset}`)
}
