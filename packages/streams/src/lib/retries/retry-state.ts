import { createHash } from 'node:crypto'
import { resolveCodec } from '@millrace/core'
import { changelogOf, CodecKeys, DuePartition, type RowShape, type StateContext, TaskLocator } from '@millrace/state'
import type { CurrentEvent, OpenState, OpenStateOptions, StateDefinition, WorkerContext } from '@millrace/worker'
import type { RetryPlan } from '../events/agent-context.ts'
import type { FailedWait, WaitingPlace } from '../events/in-flight.ts'
import { decodeWaiting, encodeWaiting, type WaitingEvent, waitingIn, type WaitingRecord } from './waiting-event.ts'
import { firstRow, firstRowOf, rowBehind, showRow } from './waiting-keys.ts'

/** The events of one subscription that wait for their next attempt. */
export interface RetrySpec {
  readonly agent: string
  /** The name of the state and its changelog. */
  readonly name: string
  /** The topics that the events come from: the state has as many partitions as they have. */
  readonly topics: readonly string[]
  /** `Codec.name` of the keys, if all topics have the same. */
  readonly keyCodec: string | undefined
  readonly order: RetryPlan['order']
}

/** What waits on one worker. */
export interface WaitingCounts {
  readonly events: number
  /** When the next one is due, in milliseconds since the epoch; `Infinity` if none waits. */
  readonly nextAt: number
}

const NO_KEY = Buffer.alloc(0)
/** Most bytes of cached rows: they are read again only when they are due. */
const CACHE_BYTES = 1024 * 1024

/**
 * Events that have left their partition, because an attempt has failed or because an earlier event of their key waits. For
 * each key the first event is due at a time, and those behind it have rows of their own, in order; the first one that
 * finishes makes the next one due at once. Everything is an effect of the events themselves, committed with their offsets.
 */
export class RetryState implements StateDefinition, WaitingPlace {
  readonly name: string
  readonly changelog: StateDefinition['changelog']
  readonly partitions: undefined
  readonly sizedAs: readonly string[]
  /** What has come back is committed with the offsets. */
  readonly eventTime = true
  readonly #order: RetryPlan['order']
  readonly #rows: TaskLocator<Buffer, WaitingEvent>

  constructor(context: StateContext, { name, topics, keyCodec, order }: RetrySpec) {
    const where = `retries "${name}"`
    const bytes = resolveCodec('bytes', 'key', where)
    const keys = new CodecKeys<Buffer>({ where, keySpec: 'bytes', keyCodec: bytes, partitionBy: undefined })
    this.name = name
    this.changelog = changelogOf(context.appId, name)
    this.sizedAs = topics
    this.#order = order
    this.#rows = new TaskLocator({
      definition: this,
      shape: { keys, rows: waitingRows(where) },
      context,
      // The row of an event is in its task.
      anywhere: true,
      make: (shape, options) => openWaiting(shape, options, keyCodec),
    })
  }

  openState(context: OpenStateOptions): OpenState {
    return this.#rows.open(context)
  }

  /**
   * Whether an earlier event of its key waits. The event of a partition must then wait behind it. Throws `KEY_CONFLICT` while
   * the earlier event is with its agent.
   */
  isHeldUp(event: CurrentEvent): boolean {
    const { key } = event.record
    if (this.#order === 'none' || key === null || this.#rows.rowsOf(NO_KEY, event).rows === 0) return false
    return this.#rows.reading(firstRowOf(key), event).read(event) !== undefined
  }

  /** The event, which is held up, waits behind the earlier ones, as its only effect. Throws `ROW_TOO_LARGE`. */
  wait(event: CurrentEvent): void {
    this.#append(event, firstRow(event, event.record.key), { attempts: 0, waits: 0, at: 0, failures: undefined })
  }

  /** The event, which has failed, waits until `at`, as its only effect. Throws `ROW_TOO_LARGE`, `KEY_CONFLICT`. */
  leave(event: CurrentEvent, { at, attempts, failure }: FailedWait): void {
    const before = waitingIn(event.record)
    const row = before?.row ?? firstRow(event, this.#order === 'key' ? event.record.key : null)
    const failures = [before?.waiting.failures?.[0] ?? failure, failure] as const
    const waits = (before?.waiting.waits ?? 0) + 1
    const entry = this.#writing(row, event)
    const first = entry.view(event)
    if (before === undefined && first !== undefined) {
      // An event that waits alone is here already: a crash has left its row, and not its offset.
      if (event.record.key === null || this.#order === 'none') return
      return this.#append(event, row, { attempts, waits, at, failures })
    }
    const waiting = first ?? placed(event)
    const behind = waiting.behind ?? { first: 0, next: 0 }
    // Later than before, even if the clock has been set back.
    const due = Math.max(at, waiting.at + 1)
    this.#rows.write(entry, event, { ...waiting, attempts, waits, at: due, failures, behind })
  }

  /** Gives an event that was due to its agent: it waits no more, as an effect of itself. False if it is not due any more. */
  claim(event: CurrentEvent): boolean {
    return event.task.open(this)?.due?.claim?.(event) !== false
  }

  /** What waits in the tasks of a worker. */
  counts(worker: WorkerContext): WaitingCounts {
    let events = 0
    let nextAt = Infinity
    for (const open of worker.openStates(this).values()) {
      if (!(open instanceof DuePartition)) continue
      events += open.rows
      nextAt = Math.min(nextAt, open.due.nextTime)
    }
    return { events, nextAt }
  }

  #append(event: CurrentEvent, row: Buffer, wait: Pick<WaitingEvent, 'attempts' | 'waits' | 'at' | 'failures'>): void {
    const entry = this.#writing(row, event)
    const first = entry.view(event)
    if (first?.behind === undefined) throw new Error(`Nothing waits in ${entry.show()}.`)
    const { next } = first.behind
    this.#rows.write(this.#writing(rowBehind(row, next), event), event, {
      ...placed(event),
      ...wait,
      behind: undefined,
    })
    this.#rows.write(entry, event, { ...first, behind: { ...first.behind, next: next + 1 } })
  }

  #writing(row: Buffer, event: CurrentEvent): ReturnType<TaskLocator<Buffer, WaitingEvent>['writing']> {
    const entry = this.#rows.writing(row, event)
    // What has come back is committed with the partition of the writer.
    if (entry.rows instanceof DuePartition) entry.rows.writtenBy(event)
    return entry
  }
}

/** The events that wait in one task. */
function openWaiting(
  shape: RowShape<WaitingEvent>,
  options: OpenStateOptions,
  keyCodec: string | undefined,
): DuePartition<WaitingEvent> {
  const cacheBytes = Math.min(options.cacheBytes, CACHE_BYTES)
  const rows: DuePartition<WaitingEvent> = new DuePartition(
    shape,
    { ...options, cacheBytes },
    {
      keyCodec,
      clock: 'wall',
      dueOf: ({ behind, at }) => (behind === undefined ? undefined : at),
      record: (row, waiting): WaitingRecord => {
        const { key, value, headers, timestamp } = waiting
        return { key, value, headers, timestamp, offset: numberOf(waiting), waiting, row }
      },
      fired(first, row) {
        const next = nextAfter(first, row, rows)
        if (next === undefined) return undefined
        const at = Math.max(next.waiting.at, options.clock.now())
        return { ...next.waiting, at, behind: { first: next.nth + 1, next: first.behind?.next ?? 0 } }
      },
      consumed(first, row) {
        const next = nextAfter(first, row, rows)
        return next === undefined ? [] : [rowBehind(row, next.nth)]
      },
    },
  )
  return rows
}

/** The first event behind another one. A row that a crash has cut off is passed over: its event comes from its partition again. */
function nextAfter(
  { behind }: WaitingEvent,
  row: Buffer,
  rows: DuePartition<WaitingEvent>,
): { readonly waiting: WaitingEvent; readonly nth: number } | undefined {
  if (behind === undefined) return undefined
  for (let nth = behind.first; nth < behind.next; nth++) {
    const waiting = rows.finishedValue(rowBehind(row, nth))
    if (waiting !== undefined) return { waiting, nth }
  }
  return undefined
}

/** An event with its place, as it left its partition. */
function placed({ record, topic, partition, offset, timestamp }: CurrentEvent): WaitingEvent {
  const { key, value, headers } = record
  const wait = { attempts: 0, waits: 0, at: 0, failures: undefined, behind: undefined }
  return { topic, partition, offset, timestamp, key, value, headers, ...wait }
}

/** Identifies an attempt at an event: 48 bits of a digest, so that it is the same after every restart. */
function numberOf({ topic, partition, offset, attempts }: WaitingEvent): number {
  return createHash('sha1').update(`${topic}/${partition}@${offset} ${attempts}`).digest().readUIntBE(0, 6)
}

function waitingRows(where: string): RowShape<WaitingEvent> {
  return {
    where,
    identify: (key) => key.toString('latin1'),
    show: showRow,
    groupOf: undefined,
    admit: encodeWaiting,
    encode: encodeWaiting,
    decode: (bytes) => decodeWaiting(bytes, where),
  }
}
