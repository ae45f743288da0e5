import type { CurrentEvent, Effect, Readable } from '@millrace/worker'

/** What one event at a time can hold. */
interface Holdable {
  readonly holder: CurrentEvent | undefined
  /** For messages. */
  show(): string
}

/** The rows of one group, as the store has them in order. */
export interface RowGroupRange {
  readonly name: string
  readonly from: Buffer
  /** The first key behind them; `undefined` when they are the last. */
  readonly to: Buffer | undefined
}

/** Decides who goes on when this is held by an event other than `event` and those of its batch. */
export function assertFree(what: Holdable, event: CurrentEvent): void {
  const { holder } = what
  if (holder !== undefined && holder.open && holder.batchLeader !== event.batchLeader)
    event.resolveConflict(holder, what.show())
}

/** Rows that are read together, including those that do not exist yet: while an event holds them, no other may change them. */
export class RowRange implements Effect {
  /** The event that has read them. */
  holder: CurrentEvent | undefined = undefined
  readonly #name: string

  constructor(name: string) {
    this.#name = name
  }

  show(): string {
    return this.#name
  }

  claim(event: CurrentEvent): void {
    if (this.holder !== undefined && this.holder.batchLeader === event.batchLeader) return
    assertFree(this, event)
    event.hold(this)
    this.holder = event
  }

  apply(): void {
    this.free()
  }

  drop(event: CurrentEvent): void {
    if (this.holder === event) this.free()
  }

  protected free(): void {
    this.holder = undefined
  }
}

/** The part of the rows that a group uses. */
interface GroupOwner<V> {
  /** The group has no entry, and no event holds it. */
  groupUnused(group: RowGroup<V>): void
}

/** The elements of one key of a set: as entries those in the cache, as a range all of them. */
export class RowGroup<V> extends RowRange {
  readonly name: string
  readonly entries: Set<V> = new Set<V>()
  /** The version of the rows when one of these was last changed, or a later one. */
  version: number
  readonly #owner: GroupOwner<V>

  constructor(owner: GroupOwner<V>, { name, shown, version }: { name: string; shown: string; version: number }) {
    super(shown)
    this.name = name
    this.version = version
    this.#owner = owner
  }

  remove(entry: V): void {
    this.entries.delete(entry)
    this.#settle()
  }

  protected override free(): void {
    super.free()
    this.#settle()
  }

  #settle(): void {
    if (this.entries.size === 0 && this.holder === undefined) this.#owner.groupUnused(this)
  }
}

interface ReadOwner {
  /** For messages: `set table "seen"`. */
  readonly where: string
  groupChangedAt(name: string): number
}

/** A group that was read, whether or not any of it is in the cache. */
export class GroupRead implements Readable {
  readonly #name: string
  readonly #owner: ReadOwner

  constructor(owner: ReadOwner, name: string) {
    this.#owner = owner
    this.#name = name
  }

  show(): string {
    return `elements of ${this.#owner.where}`
  }

  changedSince(version: number): boolean {
    return this.#owner.groupChangedAt(this.#name) > version
  }
}
