import { byPartition, MillraceError, NO_HEADERS, partitionKey, type TopicPartition } from '@millrace/core'
import type { StorePartition } from '@millrace/core/driver'
import type { StateDefinition } from '../contracts/task.ts'
import { ANY_SUBSCRIPTION, committedSends } from '../records/commit-metadata.ts'
import { type CommittedTimes, committedTimes } from '../records/committed-times.ts'
import { SourcePartition } from '../records/source-partition.ts'
import { UpstreamTimes } from '../records/upstream-times.ts'
import { recordSize } from '../sending/outgoing.ts'
import type { Facts } from './broker-facts.ts'
import { PartitionCursor } from './cursor.ts'
import { startReaders } from './held-readers.ts'
import { OrderedCursor } from './ordered-cursor.ts'
import { DueEvents } from './due-events.ts'
import type { OriginReader } from './event-origin.ts'
import type { TaskSource } from './source-offset.ts'
import { type StartPosition, startPosition } from './start-position.ts'
import { ChangelogTail, type TaskState } from './task-state.ts'
import type { Tasks } from './tasks.ts'
import type { Task } from './task.ts'

/** The delay before the first commit of a new task is retried. */
const FIRST_COMMIT_RETRY_MS = 100

/** An agent's reader, which gets the origins of each task that is opened. */
export interface OpenedReader extends OriginReader {
  /** Hands out events of these origins from now on. */
  add(cursors: readonly PartitionCursor[], due: readonly DueEvents[]): void
}

/**
 * Opens a gained task, up to the hand-out of its events:
 *
 *     fence → offsets → what parts wait for → stores → recovery → first commit → fetch → hand out
 *
 * The task may be lost at any await: its signal then aborts, and the remaining steps are left out. Tasks are opened
 * independently: one whose coordinator or partitions do not answer delays no other.
 *
 * `heardSinceMs`: fencing waits for a sign of life from the group since then.
 */
export async function openTask(task: Task, tasks: Tasks, heardSinceMs: number): Promise<void> {
  await task.output.fence(heardSinceMs)
  if (task.closed) return
  const asked = await tasks.facts.of(task)
  if (task.closed) return
  const own = task.assigned.flatMap((partition) => asked.committed.get(partitionKey(partition)) ?? [])
  const facts = { ...asked, committed: byPartition(await tasks.progress.read(own, task.signal)) }
  if (task.closed) return
  await Promise.all(tasks.topology.waits.map((wait) => wait(task, task.signal)))
  const opening = { tasks, facts, times: timesIn(task, facts) }
  const starts = task.assigned.map((partition) => startOf(task, partition, opening))
  const states = await openStates(task, starts, opening)
  if (task.closed) {
    // The task was lost in the turn in which it was opened, and only this function knows of its stores.
    await closeStores(states, tasks)
    return
  }
  const sources = task.assigned.map((partition, i) => sourceOf(task, partition, { ...opening, start: starts[i] }))
  const due = states.flatMap((state) => dueEventsOf(task, state, tasks))
  task.recovered(sources, states, due)
  // The first commit precedes all rows, so that rows without committed offsets show that offsets were lost. It also
  // fixes the position of 'latest', and passes a hole at once, so that it is reported once.
  if (starts.some(({ origin }) => origin !== 'committed')) await commitFirst(task, tasks)
  if (task.closed) return
  task.begin()
  for (const subscription of tasks.subscriptions)
    subscription.add(
      sources.flatMap(({ cursors }) => cursors.filter((cursor) => cursor.subscription === subscription)),
      due.filter((events) => events.subscription === subscription),
    )
  // An agent may have been held back, or have gone on, while the task was opened.
  if (sources.some(({ cursors }) => cursors.some(({ isHeld, isDetached }) => isHeld || isDetached)))
    tasks.heldReaders.changed()
}

interface Opening {
  readonly tasks: Tasks
  readonly facts: Facts
  /** The committed times of each source partition, if a state of the task keeps event time. */
  readonly times: ReadonlyMap<string, CommittedTimes>
}

function startOf(task: Task, partition: TopicPartition, { tasks, facts }: Opening): StartPosition {
  const { settings, log } = tasks.environment
  const key = partitionKey(partition)
  const asked = facts.bounds.get(key) ?? { ...partition, beginning: 0, end: 0 }
  const bounds = { ...asked, end: Math.min(asked.end, task.foundEnds.get(key) ?? asked.end) }
  const start = startPosition(partition, { committed: facts.committed.get(key), bounds }, settings)
  if (start.loss !== undefined) log.error({ ...partition, offset: start.offset }, start.loss.message)
  return start
}

/**
 * Opens and recovers the stores of the task concurrently. Rejects with the signal's reason if the task is lost
 * meanwhile.
 */
async function openStates(
  task: Task,
  starts: readonly StartPosition[],
  opening: Opening,
): Promise<readonly TaskState[]> {
  const { tasks } = opening
  const definitions = tasks.topics.statesWith(task.partitions)
  const outcomes = await Promise.allSettled(definitions.map((definition) => restore(task, definition, opening)))
  const restored = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined || task.closed) {
    await closeStores(restored, tasks)
    throw failed?.reason ?? task.signal.reason
  }
  const filled = restored.find(({ store }) => store.rows > 0)
  if (filled !== undefined && starts.every(({ origin }) => origin === 'reset')) {
    await closeStores(restored, tasks)
    throw new MillraceError(
      'OFFSETS_MISSING',
      `Table ${filled.definition.name} has ${filled.store.rows} rows in partition ${task.partition}, but no offset was ever committed for ${task.assigned.map(partitionKey).join(', ')}.`,
    )
  }
  return restored.map((state) => ({ ...state, open: openState(task, state, opening) }))
}

type RestoredState = Omit<TaskState, 'open'>

async function restore(task: Task, definition: StateDefinition, { tasks, facts }: Opening): Promise<RestoredState> {
  const changelog = { topic: definition.changelog.topic, partition: task.partition }
  const bounds = facts.changelogs.get(partitionKey(changelog)) ?? { beginning: 0, end: 0 }
  const store = await tasks.recovery.restore({ definition, partition: task.partition }, bounds, task.signal)
  const tail = new ChangelogTail(store.checkpoint()?.offset ?? bounds.end)
  return { definition, store, changelog, changelogId: tasks.topics.changelogId(definition), tail }
}

function openState(task: Task, { definition, store }: RestoredState, { tasks, times }: Opening): TaskState['open'] {
  const { environment, topics, changedRows } = tasks
  const { settings, freeze } = environment
  const open = [...topics.groups].reduce((sum, [partitions, { parts }]) => sum + partitions * parts.length, 0)
  // The cache share is that of a worker with all partitions, so that rebalances never exceed the bound.
  const cacheBytes = Math.floor(settings.cacheBytes / Math.max(open, 1))
  const maxRowBytes = settings.maxRecordBytes - recordSize({ key: null, value: null, headers: NO_HEADERS })
  const countChanged = (bytes: number): void => changedRows.count(bytes)
  const { clock } = environment
  const asking = { touch: () => task.touch(), commitSoon: () => task.commitSoon() }
  const options = { task, store, cacheBytes, countChanged, maxRowBytes, freeze, clock, ...asking }
  if (definition.eventTime !== true || task.time === undefined) return definition.openState(options)
  const time = task.time.open(definition, [...times.values()])
  return definition.openState({ ...options, time, note: time.note })
}

async function closeStores(
  states: readonly { readonly store: StorePartition }[],
  { stores }: Pick<Tasks, 'stores'>,
): Promise<void> {
  await Promise.all(states.map(({ store }) => stores.close(store)))
}

function sourceOf(
  task: Task,
  partition: TopicPartition,
  { tasks, facts, times, start }: Opening & { readonly start: StartPosition | undefined },
): TaskSource {
  const { environment, flow, subscriptions, refusedEvents, topology } = tasks
  const offset = start?.offset ?? 0
  const source = new SourcePartition(partition, offset, flow)
  source.committed = start?.origin === 'committed' ? offset : undefined
  source.sends = committedSends(metadataOf(partition, facts))
  const finished = times.get(partitionKey(partition))?.finished
  const { keyCodec, stamp, missing, timeOf, untimed = false } = topology.topics.get(partition.topic) ?? {}
  const cursors = subscriptions
    .filter(({ spec }) => spec.topics.includes(partition.topic))
    .map((subscription) => {
      const { id } = subscription.spec
      const atStart = { position: offset, finished: [] }
      const progress = start?.progress.get(id) ?? start?.progress.get(ANY_SUBSCRIPTION) ?? atStart
      const refusals = refusedEvents.from(id, partition, offset)
      const { clock, settings } = environment
      const known = task.time === undefined || untimed ? undefined : (finished?.get(id) ?? -Infinity)
      // Watermarks are for nobody, whether they count here or not.
      const upstream =
        timeOf !== undefined
          ? new UpstreamTimes(
              tasks.topics.carriers.find(({ topic }) => topic === partition.topic)?.tasks ?? [],
              known ?? -Infinity,
              clock,
            )
          : undefined
      const isTimed = stamp !== undefined || known !== undefined || upstream !== undefined
      const time = isTimed
        ? { stamp, finished: known, upstream, clock, maxFutureSkewMs: settings.maxFutureSkewMs }
        : undefined
      const options = { task, source, subscription, keyCodec, flow, limits: settings, refusals, time, missing }
      const place = topology.orders.placeOf(id)
      if (place === undefined) return new PartitionCursor(options, progress)
      return new OrderedCursor({ ...options, order: task.orderOf(place.group), rank: place.rank }, progress)
    })
  startReaders({ source, cursors })
  return { source, cursors }
}

function timesIn({ assigned, time }: Task, facts: Facts): Opening['times'] {
  const partitions = time === undefined ? [] : assigned
  return new Map(partitions.map((one) => [partitionKey(one), committedTimes(metadataOf(one, facts))]))
}

function metadataOf(partition: TopicPartition, { committed }: Facts): string {
  return committed.get(partitionKey(partition))?.metadata ?? ''
}

/** The due events of the task's states, for the subscriptions that read them. */
function dueEventsOf(
  task: Task,
  { definition, open }: TaskState,
  { subscriptions, environment, refusedEvents }: Tasks,
): readonly DueEvents[] {
  const { settings: limits, clock } = environment
  const subscription = subscriptions.find(({ spec }) => spec.due === definition)
  if (subscription === undefined) return []
  if (open.due === undefined)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent ${subscription.spec.agent} reads the due events of ${definition.name}, but that state has none.`,
    )
  const origin = { topic: definition.name, partition: task.partition }
  const refusals = refusedEvents.from(subscription.spec.id, origin, 0)
  return [new DueEvents({ task, definition, due: open.due, subscription, limits, refusals, clock })]
}

/**
 * Repeats the commit until it is made: it may fail without an error while there is no lease, or when its answer comes
 * too late.
 */
async function commitFirst(task: Task, { committer, environment }: Tasks): Promise<void> {
  for (;;) {
    await committer.commit([task])
    if (task.closed || task.sources.every(({ source }) => source.committed !== undefined)) return
    await environment.clock.sleep(FIRST_COMMIT_RETRY_MS, task.signal)
  }
}
