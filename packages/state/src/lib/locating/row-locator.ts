import { endOfTurn, type TopicCodecs } from '@millrace/core'
import type { ContextStorage, CurrentEvent, WorkerContext } from '@millrace/worker'
import type { KeyEntry } from '../rows/key-entry.ts'
import type { KeyedRows } from '../rows/keyed-rows.ts'
import type { RowSpan } from '../rows/scan-rows.ts'

/** The app to which states belong, as they see it. */
export interface StateContext {
  readonly appId: string
  readonly contexts: ContextStorage
  /** The workers that run in this process. */
  readonly workers: () => readonly WorkerContext[]
  /** For codecs that depend on their topic; an app without it has none. */
  readonly codecs?: TopicCodecs | undefined
}

/** Finds the rows of a key: those of the current event's task, or those of a copy that every worker has. */
export interface RowLocator<K, V> {
  /** The entry of a key, for a read by an event. Throws when the event may not read it. */
  reading(key: K, event: CurrentEvent): KeyEntry<V>
  /** The entry of a key, for a write by an event. Throws when the event may not write it. */
  writing(key: K, event: CurrentEvent): KeyEntry<V>
  /** `value` undefined deletes. */
  write(entry: KeyEntry<V>, event: CurrentEvent, value: V | undefined): void
  /** The entry of a key, for a read outside events. Throws `PARTITION_NOT_LOCAL` or `NO_WORKER`. */
  outside(key: K): KeyEntry<V>
  /** The rows that hold a key, with the same checks as `reading` and `outside`. */
  rowsOf(key: K, event: CurrentEvent | undefined): KeyedRows<V>
  /**
   * All rows of the current worker, or else of the workers of this process, by partition. Throws `NO_WORKER`, and
   * `TABLE_PARTIAL` in a job of the leader when not all partitions are here.
   */
  local(): readonly KeyedRows<V>[]
  /** As `local`, but empty when there is no worker. */
  opened(): readonly KeyedRows<V>[]
}

/**
 * Every row of some partitions, one chunk in each turn of the event loop: reading a large state must not hold up the
 * worker's heartbeats, as a plain `for await` would.
 */
export async function* readInTurns<V, T>(
  partitions: readonly KeyedRows<V>[],
  event: CurrentEvent | undefined,
  pick: (key: Buffer, value: V) => T,
): AsyncGenerator<T, undefined, undefined> {
  for (const rows of partitions) {
    for (const chunk of rows.scan(event)) {
      for (const [key, value] of chunk) yield pick(key, value)
      await endOfTurn()
    }
  }
}

/** What `readInOrder` reads. */
export interface OrderedRead {
  readonly event: CurrentEvent | undefined
  readonly span: RowSpan
  /** As of the last commits, rather than as the event sees the rows. */
  readonly committed: boolean
}

/**
 * The rows of some partitions in one order of their keys, a chunk of each partition at a time. Conflicts with other events as
 * a read of all rows.
 */
export async function* readInOrder<V, T>(
  partitions: readonly KeyedRows<V>[],
  { event, span, committed }: OrderedRead,
  pick: (key: Buffer, value: V) => T,
): AsyncGenerator<T, undefined, undefined> {
  const order = span.reverse === true ? -1 : 1
  const heads = partitions.map((rows) => new RowHead(committed ? rows.scanCommitted(span) : rows.scan(event, span)))
  for (;;) {
    let first: RowHead<V> | undefined
    for (const head of heads) {
      if (head.isOver || (head.isEmpty && !(await head.read()))) continue
      if (first === undefined || order * head.key.compare(first.key) < 0) first = head
    }
    const row = first?.take()
    if (row === undefined) return undefined
    yield pick(...row)
  }
}

/** The next row of a partition. */
class RowHead<V> {
  readonly #chunks: Iterator<readonly (readonly [key: Buffer, value: V])[]>
  #chunk: readonly (readonly [key: Buffer, value: V])[] = []
  #at = 0
  isOver = false

  constructor(chunks: Iterator<readonly (readonly [key: Buffer, value: V])[]>) {
    this.#chunks = chunks
  }

  get isEmpty(): boolean {
    return this.#at >= this.#chunk.length
  }

  get key(): Buffer {
    return this.#chunk[this.#at]?.[0] ?? NO_KEY
  }

  take(): readonly [key: Buffer, value: V] | undefined {
    return this.#chunk[this.#at++]
  }

  /** Reads the next chunk, in a turn of the event loop of its own; false if there is none. */
  async read(): Promise<boolean> {
    await endOfTurn()
    const next = this.#chunks.next()
    this.isOver = next.done === true
    if (next.done === true) return false
    this.#chunk = next.value
    this.#at = 0
    return true
  }
}

const NO_KEY = Buffer.alloc(0)
