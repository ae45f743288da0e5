import type { CommitWatch, KeyedRows, RowSpan } from '@millrace/state'

/** Is told what the commits of a partition have changed. Called for each key and commit: must be quick, and never throw. */
export interface Watcher {
  changed(key: Buffer): void
  /** The partition has left the worker. */
  left(): void
}

/** The watched keys of a partition: one key, or the keys of a span. */
export type Watched = { readonly key: Buffer } | { readonly span: RowSpan }

/** The watchers of one table, by partition. They cost nothing for a partition that nobody watches. */
export class TableWatchers {
  readonly #keyIn: (row: Buffer) => Buffer | undefined
  readonly #partitions = new WeakMap<object, PartitionWatchers>()

  /** `keyIn`: the key that users know in the key of a row. */
  constructor(keyIn: (row: Buffer) => Buffer | undefined) {
    this.#keyIn = keyIn
  }

  /** Tells `watcher` of commits until the returned function is called. Throws `PARTITION_NOT_LOCAL` if the partition has left. */
  join<V>(rows: KeyedRows<V>, watched: Watched, watcher: Watcher): () => void {
    rows.assertOpen()
    const known = this.#partitions.get(rows)
    const watchers = known ?? new PartitionWatchers(rows, this.#keyIn)
    if (known === undefined) {
      this.#partitions.set(rows, watchers)
      rows.watchCommits(watchers)
    }
    watchers.add(watched, watcher)
    return () => {
      watchers.remove(watched, watcher)
      if (!watchers.isEmpty || this.#partitions.get(rows) !== watchers) return
      this.#partitions.delete(rows)
      rows.watchCommits(undefined)
    }
  }

  /** How far the watchers of a partition have been told of its commits; the same text means the same committed rows. */
  toldTo(rows: object): string {
    return this.#partitions.get(rows)?.toldTo ?? ''
  }
}

type CommittedRows = Pick<KeyedRows<unknown>, 'committedTo'>

class PartitionWatchers implements CommitWatch {
  /** The store has a commit a moment before watchers are told of it: this is as far as they have been told. */
  toldTo: string
  readonly #rows: CommittedRows
  readonly #keyIn: (row: Buffer) => Buffer | undefined
  readonly #byKey = new Map<string, Set<Watcher>>()
  readonly #spans = new Map<Watcher, RowSpan>()

  constructor(rows: CommittedRows, keyIn: (row: Buffer) => Buffer | undefined) {
    this.#rows = rows
    this.#keyIn = keyIn
    this.toldTo = rows.committedTo
  }

  get isEmpty(): boolean {
    return this.#byKey.size === 0 && this.#spans.size === 0
  }

  add(watched: Watched, watcher: Watcher): void {
    if ('span' in watched) {
      this.#spans.set(watcher, watched.span)
      return
    }
    const name = nameOf(watched.key)
    const watchers = this.#byKey.get(name)
    if (watchers === undefined) this.#byKey.set(name, new Set([watcher]))
    else watchers.add(watcher)
  }

  remove(watched: Watched, watcher: Watcher): void {
    this.#spans.delete(watcher)
    if ('span' in watched) return
    const name = nameOf(watched.key)
    const watchers = this.#byKey.get(name)
    watchers?.delete(watcher)
    if (watchers?.size === 0) this.#byKey.delete(name)
  }

  stored(rows: readonly { readonly key: Buffer }[]): void {
    this.toldTo = this.#rows.committedTo
    for (const row of rows) {
      const key = this.#keyIn(row.key)
      if (key === undefined) continue
      if (this.#byKey.size > 0) for (const watcher of this.#byKey.get(nameOf(key)) ?? []) watcher.changed(key)
      for (const [watcher, span] of this.#spans) if (isInside(span, key)) watcher.changed(key)
    }
  }

  closed(): void {
    for (const watchers of this.#byKey.values()) for (const watcher of watchers) watcher.left()
    for (const watcher of this.#spans.keys()) watcher.left()
  }
}

function nameOf(key: Buffer): string {
  return key.toString('latin1')
}

function isInside({ from, to }: RowSpan, key: Buffer): boolean {
  return (from === undefined || key.compare(from) >= 0) && (to === undefined || key.compare(to) < 0)
}
