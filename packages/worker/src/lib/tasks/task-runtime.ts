import { setMaxListeners } from 'node:events'
import {
  type Deferred,
  deferred,
  type EventInHand,
  MillraceError,
  type OpenPart,
  type StorePartition,
  type TaskPart,
  type TopicPartition,
} from '@millrace/core'
import type { HandingTask, PartitionCursor } from '../feeds/partition-cursor.ts'
import { ReadLog } from '../feeds/read-log.ts'
import type { SourcePartition } from '../feeds/source-partition.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import type { ChangelogTail } from './changelog-tail.ts'
import { taskId } from './task-id.ts'

/** A table or stateful operator in one task. */
export interface TaskState {
  readonly part: TaskPart
  readonly open: OpenPart
  readonly store: StorePartition
  readonly changelog: TopicPartition
  /** `TopicInfo.id` of the changelog. */
  readonly changelogId: string
  readonly tail: ChangelogTail
}

/** A source partition of a task with everybody who reads it. */
export interface TaskSource {
  readonly source: SourcePartition
  readonly cursors: readonly PartitionCursor[]
}

export interface TaskListener {
  /** There is something for the next cut. */
  onTouched(task: TaskRuntime): void
  /** A cut is wanted at once. */
  onCutWanted(task: TaskRuntime): void
  /** An event has failed of which sends have gone out; `onSpilled` follows. */
  onSpillFailed(event: EventInHand, error: Error | undefined): void
  /** Sends of an event have gone out, and it has not finished. */
  onSpilled(task: TaskRuntime): void
  /** Nothing new of it is handed out: events in hand must not wait for more. */
  onNoMore(task: TaskRuntime): void
  /** It is handed out again: whoever waits for its events has to look. */
  onMore(task: TaskRuntime): void
}

export interface TaskDeps {
  readonly partitions: number
  readonly partition: number
  /** Its source partitions, as assigned. */
  readonly assigned: readonly TopicPartition[]
  readonly output: TaskOutput
  readonly listener: TaskListener
  /** Where source partitions were found to end before what had been read of them, by topic and partition. Default none. */
  readonly foundEnds?: ReadonlyMap<string, number>
}

/** A task while this worker has it: from the assignment, through recovery, until it is lost. */
export class TaskRuntime implements HandingTask {
  readonly id: string
  readonly partitions: number
  readonly partition: number
  readonly assigned: readonly TopicPartition[]
  readonly output: TaskOutput
  /** The log may have grown past the position since: only this tells that other records are there now. */
  readonly foundEnds: ReadonlyMap<string, number>
  readonly reads: ReadLog = new ReadLog()
  readonly #listener: TaskListener
  readonly #abort = new AbortController()
  readonly #states = new Map<TaskPart, TaskState>()
  #sources: readonly TaskSource[] = []
  #inHand = 0
  #spilling = 0
  #idle: Deferred<void> | undefined = undefined
  #touched = false
  #running = false
  /** Nothing is handed out; read before each event. */
  held = true
  #closedToNew = true
  closed = false

  constructor({ partitions, partition, assigned, output, listener, foundEnds = new Map() }: TaskDeps) {
    this.id = taskId(partitions, partition)
    this.partitions = partitions
    this.partition = partition
    this.assigned = assigned
    this.output = output
    this.foundEnds = foundEnds
    this.#listener = listener
    // Each event in hand may listen to it.
    setMaxListeners(0, this.#abort.signal)
  }

  /** Only what has been sorted to instances already is handed out: more would only wait, and use up what all tasks share. */
  get closedToNew(): boolean {
    return this.#closedToNew || this.output.delays > 0
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Recovered, and handing out. */
  get running(): boolean {
    return this.#running && !this.closed
  }

  /** Of changed rows that no cut has taken yet. */
  get dirtyBytes(): number {
    let bytes = 0
    for (const { open } of this.#states.values()) bytes += open.dirtyBytes
    return bytes
  }

  /** Events in the hands of agents. */
  get inHand(): number {
    return this.#inHand
  }

  /** Events in hand of which sends have gone out already. */
  get spilling(): number {
    return this.#spilling
  }

  get sources(): readonly TaskSource[] {
    return this.#sources
  }

  get states(): readonly TaskState[] {
    return [...this.#states.values()]
  }

  open(part: TaskPart): OpenPart | undefined {
    return this.#states.get(part)?.open
  }

  /** Everything is recovered: it can be cut. */
  run(sources: readonly TaskSource[], states: readonly TaskState[]): void {
    this.#sources = sources
    for (const state of states) this.#states.set(state.part, state)
    this.#running = true
  }

  /** Hand-out begins. */
  handOut(): void {
    this.held = false
    this.#closedToNew = false
  }

  /** Stops new events, or lets them come again. */
  takeNoMore(stop: boolean): void {
    const stopped = this.#closedToNew
    this.#closedToNew = stop || this.closed
    if (this.closed) return
    if (stop) this.#listener.onNoMore(this)
    else if (stopped) this.#listener.onMore(this)
  }

  entered(): void {
    this.#inHand++
  }

  left(): void {
    this.#inHand--
    if (this.#inHand === 0 && this.#idle !== undefined) this.#becomeIdle()
    if (!this.#touched) this.touch()
  }

  touch(): void {
    if (this.#touched || this.closed) return
    this.#touched = true
    this.#listener.onTouched(this)
  }

  /** A cut takes what there is. */
  untouch(): void {
    this.#touched = false
  }

  requestCut(): void {
    this.#listener.onCutWanted(this)
  }

  spillBegan(): void {
    this.#spilling++
  }

  spillFailed(event: EventInHand, error: Error | undefined): void {
    this.#listener.onSpillFailed(event, error)
  }

  spillEnded(finished: boolean): void {
    this.#spilling--
    if (!finished) this.#listener.onSpilled(this)
  }

  /** Resolves when no event is in hand, or the task is lost. */
  whenIdle(): Promise<void> {
    if (this.#inHand === 0 || this.closed) return Promise.resolve()
    this.#idle ??= deferred<void>()
    return this.#idle.promise
  }

  /** What is still in hand counts no more: signals abort, changes and sends are dropped. Stores are closed by the caller. */
  close(reason: string): void {
    if (this.closed) return
    const error = new MillraceError('NOT_ASSIGNED', `Task ${this.id} is no longer here: ${reason}.`)
    this.closed = true
    this.held = true
    this.#closedToNew = true
    this.#abort.abort(error)
    this.output.abandon(error)
    for (const { open } of this.#states.values()) open.close()
    this.#becomeIdle()
  }

  #becomeIdle(): void {
    this.#idle?.resolve()
    this.#idle = undefined
  }
}
