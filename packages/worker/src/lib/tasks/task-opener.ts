import {
  type Clock,
  type CommitOffset,
  type Isolation,
  type Logger,
  MillraceError,
  NO_HEADERS,
  partitionKey,
  type PartitionOffsets,
  type TaskPart,
  type TopicPartition,
} from '@millrace/core'
import { ANY_SUBSCRIPTION } from '../commit/commit-metadata.ts'
import type { FlowControl } from '../feeds/flow-control.ts'
import { PartitionCursor } from '../feeds/partition-cursor.ts'
import type { Refusals } from '../feeds/refusals.ts'
import { SourcePartition } from '../feeds/source-partition.ts'
import type { Subscription } from '../feeds/subscription.ts'
import { recordSize } from '../sending/record-size.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { WorkerSettings } from '../worker/worker-options.ts'
import { ChangelogTail } from './changelog-tail.ts'
import type { Recovery } from '../restore/recovery.ts'
import { type StartPosition, startPosition } from './start-position.ts'
import type { TaskRuntime, TaskSource, TaskState } from './task-runtime.ts'
import type { TaskStores } from '../restore/task-stores.ts'

export interface TaskOpenerDeps {
  readonly settings: WorkerSettings
  readonly clock: Clock
  readonly log: Logger
  readonly freeze: boolean
  readonly topics: TopicDirectory
  readonly stores: Pick<TaskStores, 'close'>
  /** As `PartContext.countChanged`. */
  readonly countChanged: (bytes: number) => void
  readonly recovery: Recovery
  readonly flow: FlowControl
  readonly subscriptions: () => readonly Subscription[]
  readonly refusals: Pick<Refusals, 'from'>
  readonly keyCodec: (topic: string) => string | undefined
  readonly committed: (partitions: readonly TopicPartition[]) => Promise<readonly CommitOffset[]>
  readonly offsets: (
    partitions: readonly TopicPartition[],
    isolation: Isolation,
  ) => Promise<readonly PartitionOffsets[]>
}

/** What the broker knows about gained tasks, asked for all of them at once. */
export interface Knowledge {
  readonly committed: ReadonlyMap<string, CommitOffset>
  readonly bounds: ReadonlyMap<string, PartitionOffsets>
  readonly changelogs: ReadonlyMap<string, PartitionOffsets>
}

export interface OpenedTask {
  readonly sources: readonly TaskSource[]
  readonly states: readonly TaskState[]
  readonly starts: readonly StartPosition[]
}

/** Brings gained tasks to the point where events can be handed out. Reads only: nothing of the group changes here. */
export class TaskOpener {
  readonly #deps: TaskOpenerDeps

  constructor(deps: TaskOpenerDeps) {
    this.#deps = deps
  }

  /** Must come after the earlier owners are shut out: else an offset of theirs could still come. */
  async learn(tasks: readonly TaskRuntime[]): Promise<Knowledge> {
    const { committed, offsets, settings, topics } = this.#deps
    const partitions = tasks.flatMap((task) => task.assigned)
    // In this order, so that whatever a successor does meanwhile makes sense: rows are in a changelog only after a first commit,
    // and a committed offset is never past the end. A worker that sleeps here and is replaced must not take the broker for broken.
    // What is in a transaction counts too: rows that are committed may lie behind it, so recovery waits until it is over.
    const logs = tasks.flatMap((task) => this.#partsOf(task).map((part) => changelogOf(part, task)))
    const changelogs = byPartition(logs.length === 0 ? [] : await offsets(logs, 'read-uncommitted'))
    // What it has committed of repartition topics it deletes: so a committed offset is not before the beginning either.
    const purged = partitions.filter(({ topic }) => topics.purged.has(topic))
    const beginnings = byPartition(purged.length === 0 ? [] : await offsets(purged, 'read-uncommitted'))
    const offsetsCommitted = await committed(partitions)
    const known = byPartition(offsetsCommitted)
    // The whole log, for a committed offset may lie behind a transaction that is open now. Who starts at the end starts
    // before it.
    const starting = partitions.filter(
      (partition) => settings.offsetReset === 'latest' && !known.has(partitionKey(partition)),
    )
    const log = await offsets(partitions, 'read-uncommitted')
    const ends = byPartition(starting.length === 0 ? [] : await offsets(starting, settings.isolation))
    const bounds = log.map((found) => ({
      ...found,
      beginning: beginnings.get(partitionKey(found))?.beginning ?? found.beginning,
      end: ends.get(partitionKey(found))?.end ?? found.end,
    }))
    return { committed: known, bounds: byPartition(bounds), changelogs }
  }

  /** Opens and recovers stores. Rejects with the signal's reason when the task is lost meanwhile. */
  async open(task: TaskRuntime, known: Knowledge): Promise<OpenedTask> {
    const starts = task.assigned.map((partition) => this.#startOf(task, partition, known))
    const states = await this.#openStates(task, known)
    const fresh = starts.every(({ origin }) => origin === 'reset')
    const filled = states.find(({ store }) => store.rows > 0)
    if (fresh && filled !== undefined) {
      await this.#closeStores(states.map(({ store }) => store))
      throw new MillraceError(
        'OFFSETS_MISSING',
        `Table ${filled.part.name} has ${filled.store.rows} rows in partition ${task.partition}, but nothing was ever committed for ${task.assigned.map(partitionKey).join(', ')}.`,
      )
    }
    const sources = task.assigned.map((partition, i) => this.#sourceOf(task, partition, starts[i]))
    return { sources, states: states.map((state) => this.#openPart(task, state)), starts }
  }

  #partsOf(task: TaskRuntime): readonly TaskPart[] {
    return this.#deps.topics.partsWith(task.partitions)
  }

  #startOf(task: TaskRuntime, partition: TopicPartition, known: Knowledge): StartPosition {
    const key = partitionKey(partition)
    const asked = known.bounds.get(key) ?? { ...partition, beginning: 0, end: 0 }
    const bounds = { ...asked, end: Math.min(asked.end, task.foundEnds.get(key) ?? asked.end) }
    const start = startPosition(partition, { committed: known.committed.get(key), bounds }, this.#deps.settings)
    if (start.loss !== undefined) this.#deps.log.error({ ...partition, offset: start.offset }, start.loss.told)
    return start
  }

  async #openStates(task: TaskRuntime, known: Knowledge): Promise<readonly Omit<TaskState, 'open'>[]> {
    const outcomes = await Promise.allSettled(this.#partsOf(task).map((part) => this.#restore(task, part, known)))
    const states = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed === undefined && !task.closed) return states
    await this.#closeStores(states.map(({ store }) => store))
    throw failed?.reason ?? task.signal.reason
  }

  async #restore(task: TaskRuntime, part: TaskPart, known: Knowledge): Promise<Omit<TaskState, 'open'>> {
    const { recovery, topics } = this.#deps
    const changelog = changelogOf(part, task)
    const bounds = known.changelogs.get(partitionKey(changelog)) ?? { beginning: 0, end: 0 }
    const store = await recovery.restore({ part, partition: task.partition }, bounds, task.signal)
    const tail = new ChangelogTail(store.checkpoint()?.offset ?? bounds.end)
    return { part, store, changelog, changelogId: topics.changelogId(part), tail }
  }

  async #closeStores(stores: readonly TaskState['store'][]): Promise<void> {
    await Promise.all(stores.map((store) => this.#deps.stores.close(store)))
  }

  #sourceOf(task: TaskRuntime, partition: TopicPartition, start: StartPosition | undefined): TaskSource {
    const { flow, subscriptions, keyCodec, refusals, settings } = this.#deps
    const offset = start?.offset ?? 0
    const source = new SourcePartition(partition, offset, flow)
    source.committed = start?.origin === 'committed' ? offset : undefined
    const cursors = subscriptions()
      .filter(({ spec }) => spec.topics.includes(partition.topic))
      .map(
        ({ spec, counters }) =>
          new PartitionCursor(
            {
              spec,
              counters,
              task,
              source,
              keyCodec: keyCodec(partition.topic),
              flow,
              refusals: refusals.from(spec.id, partition, offset),
              ...settings,
            },
            start?.progress.get(spec.id) ?? start?.progress.get(ANY_SUBSCRIPTION) ?? { position: offset, finished: [] },
          ),
      )
    return { source, cursors }
  }

  #openPart(task: TaskRuntime, state: Omit<TaskState, 'open'>): TaskState {
    const { settings, topics, freeze, countChanged } = this.#deps
    const open = [...topics.groups].reduce((sum, [partitions, { parts }]) => sum + partitions * parts.length, 0)
    // A share of the cache as if all partitions were here: rebalances then never exceed the bound.
    const cacheBytes = Math.floor(settings.cacheBytes / Math.max(open, 1))
    const maxRowBytes = settings.maxRecordBytes - recordSize({ key: null, value: null, headers: NO_HEADERS })
    const context = { task, store: state.store, cacheBytes, countChanged, maxRowBytes, freeze }
    return { ...state, open: state.part.openPart(context) }
  }
}

function changelogOf(part: TaskPart, task: TaskRuntime): TopicPartition {
  return { topic: part.changelog.topic, partition: task.partition }
}

function byPartition<P extends TopicPartition>(list: readonly P[]): ReadonlyMap<string, P> {
  return new Map(list.map((one) => [partitionKey(one), one]))
}
