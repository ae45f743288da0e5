import type { Clock } from '@millrace/core'
import type { EventOrigin } from './event-origin.ts'
import type { ProgressTopic, SentPages } from './progress-topic.ts'
import { changedOffsets, type SourceOffset } from './source-offset.ts'
import type { Task } from './task.ts'
import { type PreparedRows, sendRows } from './task-state.ts'

/** One commit of one task: a moment between two events that covers everything the task has. */
export interface TaskCommit {
  /** When it was prepared, on the monotonic clock. */
  readonly preparedMs: number
  /** The offsets that changed since the last commit. */
  readonly offsets: readonly (SourceOffset & { readonly pages: SentPages | undefined })[]
  /** How many handed-out events of each origin the commit covers. */
  readonly passed: readonly { readonly origin: EventOrigin; readonly passed: number }[]
  readonly states: readonly PreparedRows[]
  /** Resolves when the broker has all rows and all sends of finished events; rejects if it never will. */
  readonly acknowledged: Promise<void>
}

/** Snapshots the positions that have changed since the last commit, synchronously. */
export function changedOffsetsOf({ sources, states, output, time }: Task, appId: string): readonly SourceOffset[] {
  const stateEntries = time === undefined ? [] : time.stateEntries(states)
  return changedOffsets(sources, { appId, complete: output.transactional, time, stateEntries })
}

/**
 * Takes exactly what is finished, in the same turn as `changed`, and sends its rows. `undefined` if there is nothing
 * to commit. Otherwise either `commitDone` or `Task.notCommitted` follows.
 */
export function prepareCommit(
  task: Task,
  changed: readonly SourceOffset[],
  { clock, progress }: { readonly clock: Clock; readonly progress: Pick<ProgressTopic, 'send'> },
): TaskCommit | undefined {
  const { output, time } = task
  task.prepared()
  const passed = task.origins.map((origin) => ({ origin, passed: origin.tracker.passed }))
  const states = task.states.map((state) => sendRows(state, output, clock.now()))
  if (output.transactional) time?.sendWatermarks(output)
  if (changed.length === 0 && output.pending === 0 && states.every(({ rows }) => rows.length === 0)) {
    for (const { state, rows } of states) state.open.rowsStored(rows)
    time?.nothingToCommit()
    if (!output.transactional) time?.sendWatermarks(output)
    return undefined
  }
  const offsets = changed.map((one) => ({
    ...one,
    pages: one.overflow === undefined ? undefined : progress.send(one.overflow, one.source, output),
  }))
  return { preparedMs: clock.monotonic(), offsets, passed, states, acknowledged: output.seal() }
}

/** Called when the offsets are committed and the rows stored. */
export function commitDone({ output, time }: Task, { offsets, passed, states }: TaskCommit, nowMs: number): void {
  for (const { source, offset, metadata, overflow } of offsets) {
    if (source.committed !== offset) source.movedAtMs = nowMs
    source.committed = offset
    source.committedMetadata = overflow ?? metadata
  }
  for (const { origin, passed: count } of passed) origin.committed(count)
  time?.committed()
  if (!output.transactional) time?.sendWatermarks(output)
  for (const { state, rows } of states) state.open.rowsStored(rows)
}
