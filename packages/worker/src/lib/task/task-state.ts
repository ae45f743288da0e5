import {
  type ErrorCode,
  isMillraceError,
  MillraceError,
  NO_HEADERS,
  type OutgoingRecord,
  type TopicPartition,
} from '@millrace/core'
import type { Row, StoreChange, StorePartition } from '@millrace/core/driver'
import type { OpenState, StateDefinition } from '../contracts/task.ts'
import type { OffsetRange } from '../records/positions.ts'
import { Outgoing, type SendOrigin } from '../sending/outgoing.ts'
import type { TaskOutput } from '../sending/task-output.ts'

/** A table or stateful operator in one task. */
export interface TaskState {
  readonly definition: StateDefinition
  readonly open: OpenState
  readonly store: StorePartition
  readonly changelog: TopicPartition
  /** `TopicInfo.id` of the changelog. */
  readonly changelogId: string
  readonly tail: ChangelogTail
}

/** The changed rows of one state, as they are sent to its changelog. */
export interface PreparedRows {
  readonly state: TaskState
  readonly rows: readonly Row[]
  /** The last record: its offset becomes the checkpoint of the store. */
  readonly last: Outgoing | undefined
}

/**
 * Takes the rows changed since the last commit, each encoded once, and sends them. Exactly one of `open.rowsStored` and
 * `open.rowsReturned` follows.
 */
export function sendRows(state: TaskState, output: Pick<TaskOutput, 'add'>, timestamp: number): PreparedRows {
  const rows = state.tail.rows(state.open.takeRows(), state.store)
  const origin = new RowOrigin(state.definition)
  const { topic, partition } = state.changelog
  let last: Outgoing | undefined
  for (const { key, value } of rows) {
    last = new Outgoing({ topic, partition, key, value, headers: NO_HEADERS, timestamp }, origin)
    output.add(last)
  }
  return { state, rows, last }
}

/** What the store writes once the rows are committed. */
export function storeChange({ state, rows, last }: PreparedRows, wallTimeMs: number): readonly StoreChange[] {
  if (last === undefined) return []
  const checkpoint = { topicId: state.changelogId, offset: last.offset + 1, wallTimeMs }
  return [{ partition: state.store, rows, checkpoint }]
}

/** The error code for a row, by that of the refusal. */
const ROW_CODES: ReadonlyMap<ErrorCode, ErrorCode> = new Map([
  ['RECORD_TOO_LARGE', 'ROW_TOO_LARGE'],
  ['TOPIC_MISSING', 'CHANGELOG_MISSING'],
])

class RowOrigin implements SendOrigin {
  readonly open = false
  readonly #definition: StateDefinition

  constructor(definition: StateDefinition) {
    this.#definition = definition
  }

  describe(): string {
    return `a row of ${this.#definition.name}`
  }

  refusal(record: OutgoingRecord, error: Error): MillraceError {
    const key = record.key?.toString().slice(0, 100) ?? ''
    const code = isMillraceError(error) ? ROW_CODES.get(error.code) : undefined
    return new MillraceError(
      code ?? 'RECORD_REFUSED',
      `The row of key ${JSON.stringify(key)} in ${this.#definition.name} (${record.value?.length ?? 0} bytes) was refused by ${record.topic}/${record.partition}: ${isMillraceError(error) ? error.detail : error.message}`,
      { cause: error },
    )
  }
}

/**
 * The end of a task's changelog partition as this worker has written it. Rows of this worker should be consecutive
 * there, since nobody else writes. If they are not, a delayed request of an earlier owner has reached the broker.
 * Without transactions Kafka cannot refuse such a request.
 */
export class ChangelogTail {
  #next: number
  /** Keys (as bytes) whose last row in the changelog differs from that in the store. */
  readonly #overwritten = new Map<string, Buffer>()
  #taken: readonly string[] = []

  /** `next` is the offset at which the store ends after recovery. */
  constructor(next: number) {
    this.#next = next
  }

  /** The rows of a commit, together with those that have to be written again. */
  rows(changed: readonly Row[], store: Pick<StorePartition, 'get'>): readonly Row[] {
    if (this.#overwritten.size === 0) return changed
    const fresh = new Set(changed.map(({ key }) => nameOf(key)))
    const again = [...this.#overwritten].filter(([name]) => !fresh.has(name))
    this.#taken = [...this.#overwritten.keys()]
    return [...changed, ...again.map(([, key]) => ({ key, value: store.get(key) ?? null }))]
  }

  /** Called when the broker has the rows of a commit. Returns the offset range if it holds more than those rows. */
  wrote(count: number, last: number): OffsetRange | undefined {
    for (const name of this.#taken) this.#overwritten.delete(name)
    this.#taken = []
    // The offsets are unknown: the next commit searches from where the one before ended.
    if (last < 0) return undefined
    const stretch = { from: this.#next, to: last + 1 }
    this.#next = stretch.to
    return stretch.to - stretch.from > count ? stretch : undefined
  }

  /** Called if a range could not be read: the next commit searches it again. */
  readAgain({ from }: OffsetRange): void {
    this.#next = Math.min(this.#next, from)
  }

  /** Compares the rows of a range with the store. Returns the number of keys that the next commit writes again. */
  compare(rows: Iterable<Row>, store: Pick<StorePartition, 'get'>): number {
    const last = new Map<string, Row>()
    for (const row of rows) last.set(nameOf(row.key), row)
    let found = 0
    for (const [name, { key, value }] of last) {
      const own = store.get(key)
      if (value === null ? own === undefined : own?.equals(value) === true) continue
      this.#overwritten.set(name, key)
      found++
    }
    return found
  }
}

function nameOf(key: Buffer): string {
  return key.toString('latin1')
}
