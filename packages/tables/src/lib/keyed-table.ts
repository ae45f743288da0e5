import type { CodecSpec } from '@millrace/core'
import type { ContextStorage, TableStats } from '@millrace/worker'
import { readingEvent, readInTurns, type CodecKeys, type RowLocator, type StateContext } from '@millrace/state'
import type { KeyedDefinition } from './options.ts'
import { TableWatchers } from './watch/table-watchers.ts'

/** The part of a table that listings, pages and commands use, without its types. */
export interface ListedTable {
  readonly name: string
  readonly help: string | undefined
  /** `Codec.name` of the keys. */
  readonly keyCodec: string
  /** `Codec.name` of the values, or of a set's elements. */
  readonly valueCodec: string
  /** Rows in the partitions that are here. Throws `NO_WORKER`. */
  readonly size: number
  stats(): TableStats
  /** The value of a key given as text. Throws `KEY_INVALID`, `PARTITION_NOT_LOCAL`, `NO_WORKER`. */
  lookup(text: string): unknown
  /** Throws `NO_WORKER`. */
  entries(): AsyncIterableIterator<readonly [key: unknown, value: unknown]>
}

/** A row as it is in the changelog, or in the topic of a global table. */
export interface EncodedRow {
  readonly key: Buffer
  readonly value: Buffer
  /** The bytes whose hash is the partition. */
  readonly partitionedBy: Buffer
}

/**
 * What all kinds of tables have in common. `K` is the key that users give, `R` that of a row: in a set it has the element
 * too.
 */
export abstract class KeyedTable<K, R, V> {
  readonly name: string
  readonly help: string | undefined
  /** `Codec.name` of the keys. */
  readonly keyCodec: string
  /** How keys are encoded, as declared. */
  readonly keySpec: CodecSpec
  /** `Codec.name` of the values, or of a set's elements. */
  readonly valueCodec: string
  /** Finds the rows. */
  protected abstract readonly rows: RowLocator<R, V>
  protected readonly keyShape: CodecKeys<K>
  protected readonly storage: ContextStorage
  protected readonly uses: UseCounts = new UseCounts()
  protected readonly watchers: TableWatchers = new TableWatchers((row) => this.keyIn(row))

  constructor({ contexts }: StateContext, keys: CodecKeys<K>, definition: KeyedDefinition<K, unknown>) {
    const { name, help, keyCodec, keySpec, valueCodec } = definition
    this.name = name
    this.help = help
    this.keyCodec = keyCodec.name
    this.keySpec = keySpec
    this.valueCodec = valueCodec.name
    this.keyShape = keys
    this.storage = contexts
  }

  /**
   * A key typed as text: text and bytes stand for themselves, numbers are decimal, everything else is JSON text.
   *
   * @throws `KEY_INVALID`
   */
  keyOf(text: string): K {
    return this.keyShape.decode(this.parseKey(text))
  }

  /** As `keyOf`, encoded. */
  parseKey(text: string): Buffer {
    return this.keyShape.parse(text)
  }

  /**
   * Rows in the partitions that are here, by finished events: keys that have a value, or elements of a set.
   *
   * @throws `NO_WORKER`; `TABLE_PARTIAL` as `entries`
   */
  get size(): number {
    return this.rows.local().reduce((sum, { rows }) => sum + rows, 0)
  }

  /** Use of this table in this process. */
  stats(): TableStats {
    const opened = this.rows.opened()
    const { reads, writes, writers } = this.uses
    return {
      rows: opened.reduce((sum, { rows }) => sum + rows, 0),
      reads,
      writes,
      writers,
      cachedBytes: opened.reduce((sum, { cachedBytes }) => sum + cachedBytes, 0),
      late: 0,
    }
  }

  /** The encoded key in the key of a row; `undefined` for a row without one. */
  protected keyIn(row: Buffer): Buffer | undefined {
    return row
  }

  protected scan<T>(pick: (key: Buffer, value: V) => T): AsyncIterableIterator<T> {
    return readInTurns(this.rows.local(), readingEvent(this.storage), pick)
  }
}

interface Tally {
  readonly agent: string
  writes: number
}

/** How often a table has been read, and how often each agent has written to it. */
export class UseCounts {
  reads = 0
  readonly #byAgent = new Map<string, Tally>()
  #last: Tally | undefined = undefined

  /** One comparison in nearly all cases, because most writes are by the same agent as the one before. */
  addWrite(agent: string): void {
    const last = this.#last
    if (last !== undefined && last.agent === agent) last.writes++
    else this.#switchTo(agent)
  }

  get writes(): number {
    let sum = 0
    for (const { writes } of this.#byAgent.values()) sum += writes
    return sum
  }

  /** Writes by agent. */
  get writers(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#byAgent.values()].map(({ agent, writes }) => [agent, writes]))
  }

  #switchTo(agent: string): void {
    let tally = this.#byAgent.get(agent)
    if (tally === undefined) this.#byAgent.set(agent, (tally = { agent, writes: 0 }))
    tally.writes++
    this.#last = tally
  }
}
