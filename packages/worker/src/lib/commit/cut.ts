import {
  type CommitOffset,
  type Clock,
  type ErrorCode,
  isMillraceError,
  MillraceError,
  NO_HEADERS,
  type OutgoingRecord,
  type Row,
  type StoreChange,
} from '@millrace/core'
import type { PartitionCursor } from '../feeds/partition-cursor.ts'
import type { SourcePartition } from '../feeds/source-partition.ts'
import { Outgoing, type SendOrigin } from '../sending/outgoing.ts'
import type { TaskRuntime, TaskState } from '../tasks/task-runtime.ts'
import { encodeCommitMetadata } from './commit-metadata.ts'
import type { Progress } from './offset-range.ts'

/** What one cut of one task holds: a moment between two events, for everything the task has. */
export interface Cut {
  readonly task: TaskRuntime
  /** On the monotonic clock. */
  readonly takenMs: number
  /** Offsets that changed since the last commit. */
  readonly offsets: readonly (CommitOffset & { readonly source: SourcePartition })[]
  readonly cursors: readonly { readonly cursor: PartitionCursor; readonly passed: number }[]
  readonly states: readonly StateCut[]
  /** Rows and sends are on the broker. */
  readonly sealed: Promise<void>
}

interface StateCut {
  readonly state: TaskState
  readonly rows: readonly Row[]
  /** The last row on its way: its offset is what the store has absorbed. */
  readonly last: Outgoing | undefined
}

/** What was committed of a source last, so that a commit that would change nothing is left out. */
export type CommittedText = Map<SourcePartition, string>

/** Takes a cut, within one turn of the event loop. `undefined` when there is nothing in it. */
export function takeCut(task: TaskRuntime, committed: CommittedText, clock: Clock): Cut | undefined {
  task.untouch()
  const offsets = task.sources.flatMap(({ source, cursors }) => {
    const one = offsetOf(source, cursors)
    return committed.get(source) === textOf(one) ? [] : [one]
  })
  const cursors = task.sources.flatMap((one) =>
    one.cursors.map((cursor) => ({ cursor, passed: cursor.tracker.passed })),
  )
  const states = task.states.map((state) => sendRows(task, state, clock.now()))
  const empty = offsets.length === 0 && task.output.pending === 0 && states.every(({ rows }) => rows.length === 0)
  if (empty) {
    for (const { state } of states) state.open.rowsStored()
    return undefined
  }
  return { task, takenMs: clock.monotonic(), offsets, cursors, states, sealed: task.output.seal() }
}

/** Whether a commit can say all that is finished; otherwise some of it would be handled again by the next owner. */
export function isWhole(task: TaskRuntime): boolean {
  return task.sources.every(({ cursors }) => {
    const { offset, progress } = progressOf(cursors)
    return encodeCommitMetadata(offset, progress).complete
  })
}

/** For `CommittedText`. */
export function textOf({ offset, metadata }: CommitOffset): string {
  return `${offset} ${metadata}`
}

/** What the store writes when the cut is committed. */
export function storeChanges({ states }: Cut, clock: Clock): readonly StoreChange[] {
  return states.flatMap(({ state, rows, last }) =>
    last === undefined
      ? []
      : [
          {
            partition: state.store,
            rows,
            checkpoint: { topicId: state.changelogId, offset: last.offset + 1, wallTimeMs: clock.now() },
          },
        ],
  )
}

export function rowsOf({ states }: Cut): number {
  return states.reduce((sum, { rows }) => sum + rows.length, 0)
}

/** The offset of a partition is the lowest position of those who read it; each one's own goes into the metadata. */
function offsetOf(source: SourcePartition, cursors: readonly PartitionCursor[]): Cut['offsets'][number] {
  const { offset, progress } = progressOf(cursors)
  return {
    topic: source.topic,
    partition: source.partition,
    offset,
    metadata: encodeCommitMetadata(offset, progress).text,
    source,
  }
}

function progressOf(cursors: readonly PartitionCursor[]): {
  readonly offset: number
  readonly progress: ReadonlyMap<string, Progress>
} {
  const progress = new Map(cursors.map((cursor) => [cursor.place.spec.id, cursor.progress()]))
  return { offset: Math.min(...[...progress.values()].map(({ position }) => position)), progress }
}

function sendRows(task: TaskRuntime, state: TaskState, timestamp: number): StateCut {
  const rows = state.tail.rows(state.open.takeRows(), state.store)
  const origin = new RowOrigin(state)
  const { topic, partition } = state.changelog
  let last: Outgoing | undefined
  for (const { key, value } of rows) {
    last = new Outgoing({ topic, partition, key, value, headers: NO_HEADERS, timestamp }, origin)
    task.output.add(last)
  }
  return { state, rows, last }
}

/** What a refusal means for a row. */
const ROW_CODES: ReadonlyMap<ErrorCode, ErrorCode> = new Map([
  ['RECORD_TOO_LARGE', 'ROW_TOO_LARGE'],
  ['TOPIC_MISSING', 'CHANGELOG_MISSING'],
])

class RowOrigin implements SendOrigin {
  readonly open = false
  readonly #state: TaskState

  constructor(state: TaskState) {
    this.#state = state
  }

  describe(): string {
    return `a row of ${this.#state.part.name}`
  }

  refusal(record: OutgoingRecord, error: Error): MillraceError {
    const key = record.key?.toString().slice(0, 100) ?? ''
    const code = isMillraceError(error) ? ROW_CODES.get(error.code) : undefined
    return new MillraceError(
      code ?? 'RECORD_REFUSED',
      `The row of key ${JSON.stringify(key)} in ${this.#state.part.name} (${record.value?.length ?? 0} bytes) was refused by ${record.topic}/${record.partition}.`,
      { cause: error },
    )
  }
}
