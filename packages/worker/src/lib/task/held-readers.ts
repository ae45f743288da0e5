import type { Consumer } from '@millrace/core/driver'
import type { HandOut } from '../environment/hand-out.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import type { FlowControl } from '../records/flow-control.ts'
import type { TaskSource } from './source-offset.ts'
import type { Task } from './task.ts'

export interface ReadersDriver {
  readonly consumer: Pick<Consumer, 'seek'>
  readonly flow: Pick<FlowControl, 'settle'>
}

/** The tasks of a worker. */
export interface TasksToSettle extends ReadersDriver {
  readonly running: readonly Task[]
  readonly handOut: Pick<HandOut, 'wake'>
}

/** The readers of a worker, when agents are held back or go on. */
export class HeldReaders {
  readonly #tasks: TasksToSettle
  #isSettling = false

  constructor(tasks: TasksToSettle) {
    this.#tasks = tasks
  }

  /** Called when an agent is held back, or no longer. */
  changed(): void {
    if (this.#isSettling) return
    this.#isSettling = true
    // Later, because an agent whose circuit lets a single event through is held back again by then.
    setImmediate(() => this.#settle())
  }

  #settle(): void {
    this.#isSettling = false
    const open = this.#tasks.running.filter(({ blocked }) => (blocked & NOT_NOW.opening) === 0)
    for (const source of open.flatMap(({ sources }) => sources)) settleReaders(source, this.#tasks)
    this.#tasks.handOut.wake()
  }
}

/**
 * Agents that read one partition share its fetched records, and a full buffer stops fetching. So an agent that is held
 * back (paused, or its circuit is open) lets go of the partition while another one reads on, and stands again where it
 * has stopped once it goes on. If the others have come further by then, the partition is fetched again from there, and
 * they pass over what they have had.
 */
function settleReaders({ source, cursors }: TaskSource, { consumer, flow }: ReadersDriver): void {
  detachHeld({ source, cursors })
  const back = cursors.filter((cursor) => cursor.isDetached && !cursor.isHeld)
  const from = Math.min(...back.map(({ tracker }) => tracker.readTo))
  if (from < source.heldFrom) {
    source.restart(from)
    consumer.seek(source, from)
  }
  for (const cursor of back) cursor.attach()
  // The bounds of a reader that stands aside no longer stop fetching.
  flow.settle(source)
}

/** The same for a task that is being opened: fetching begins where the agents that read on have come to. */
export function startReaders({ source, cursors }: TaskSource): void {
  if (!detachHeld({ source, cursors })) return
  const reading = cursors.filter(({ isDetached }) => !isDetached)
  source.restart(Math.min(...reading.map(({ tracker }) => tracker.readTo)))
}

/** Returns true if some reader stands aside. */
function detachHeld({ cursors }: TaskSource): boolean {
  // If nobody reads on, the records here stay, and the buffer's bound stops fetching.
  if (cursors.every(({ isHeld }) => isHeld)) return false
  for (const cursor of cursors) if (cursor.isHeld && !cursor.isDetached) cursor.detach()
  return cursors.some(({ isDetached }) => isDetached)
}
