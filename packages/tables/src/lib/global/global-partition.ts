import type { Row, StorePartition } from '@millrace/core/driver'
import type { CurrentEvent, SendReceipt } from '@millrace/worker'
import { KeyedRows, type KeyEntry, type RowShape } from '@millrace/state'

export interface GlobalPartitionOptions<V> {
  readonly shape: RowShape<V>
  readonly store: StorePartition
  readonly partition: number
  /** Partitions of its topic. */
  readonly partitions: number
  readonly cacheBytes: number
  readonly freeze: boolean
  readonly beginning: number
}

/** A finished write that the topic has not brought back yet. */
interface Unconfirmed {
  /** Where the broker has put it; `undefined` until that is known. */
  offset: number | undefined
}

/**
 * One partition of a global table on one worker: what the topic says, overlaid by this worker's own writes until the topic
 * has brought them back. Dirty entries are that overlay.
 */
export class GlobalPartition<V> extends KeyedRows<V> {
  readonly #receipts = new WeakMap<KeyEntry<V>, SendReceipt>()
  readonly #unconfirmed = new Map<KeyEntry<V>, Unconfirmed>()
  readonly #partitions: number
  #position: number

  constructor(options: GlobalPartitionOptions<V>) {
    // Its writes are sends, which have that limit already.
    super({ ...options, maxRowBytes: Infinity })
    this.#partitions = options.partitions
    this.#position = options.beginning
  }

  /** Everything before this offset is in the store. */
  get position(): number {
    return this.#position
  }

  override get rows(): number {
    let rows = this.store.rows
    for (const entry of this.#unconfirmed.keys()) {
      rows += (entry.value === undefined ? 0 : 1) - (this.store.get(entry.key) === undefined ? 0 : 1)
    }
    return rows
  }

  /** Keys of other tasks are changed by what comes from the topic: reading them does not bind an event. */
  override isOwnedBy({ task }: CurrentEvent): boolean {
    return task.partition === this.partition && task.partitions === this.#partitions
  }

  /** The send that carries the next write of `entry`. */
  expect(entry: KeyEntry<V>, receipt: SendReceipt): void {
    this.#receipts.set(entry, receipt)
  }

  override changed(entry: KeyEntry<V>): void {
    const receipt = this.#receipts.get(entry)
    if (this.closed || receipt === undefined) return
    this.#receipts.delete(entry)
    if (!entry.dirty) this.countDirty(entry)
    entry.dirty = true
    const write: Unconfirmed = { offset: undefined }
    this.#unconfirmed.set(entry, write)
    // Not before the event is over: within it, its own sends cannot be awaited. A send that fails will never be in the
    // topic. The sender reports why; here its value is only taken back.
    void Promise.resolve()
      .then(() => receipt.metadata())
      .then(
        ({ offset }) => this.#acknowledged(entry, write, offset),
        () => this.#acknowledged(entry, write, undefined),
      )
  }

  /** The store has absorbed these rows, up to an offset. */
  absorbed(rows: readonly Row[], nextOffset: number): void {
    for (const { key } of rows) {
      const entry = this.entries.get(this.shape.identify(key))
      if (entry !== undefined && !entry.dirty) this.#refresh(entry)
    }
    this.#position = nextOffset
    for (const [entry, { offset }] of this.#unconfirmed) {
      if (offset !== undefined && offset < nextOffset) this.#settle(entry)
    }
    this.stored(rows)
  }

  override get committedTo(): string {
    return `${this.partition}@${this.#position}`
  }

  /** Writes that will never come back, such as those of an aborted transaction: the worker has lost the task. */
  forgetWrites(): void {
    for (const entry of [...this.#unconfirmed.keys()]) this.#settle(entry)
  }

  override close(): void {
    super.close()
    this.#unconfirmed.clear()
  }

  #acknowledged(entry: KeyEntry<V>, write: Unconfirmed, offset: number | undefined): void {
    if (this.#unconfirmed.get(entry) !== write) return
    if (offset === undefined || offset < this.#position) this.#settle(entry)
    else write.offset = offset
  }

  /** From here on the key has the value that the topic gives it. */
  #settle(entry: KeyEntry<V>): void {
    this.#unconfirmed.delete(entry)
    entry.dirty = false
    this.countClean(entry)
    this.#refresh(entry)
  }

  #refresh(entry: KeyEntry<V>): void {
    if (entry.holder === undefined) this.evict(entry)
    else entry.value = this.committed(entry.key)
  }
}
