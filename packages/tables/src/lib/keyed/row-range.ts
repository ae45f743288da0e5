import type { Effect, EventScope, Readable } from '@millrace/core'

/** What one event at a time can hold. */
interface Holdable {
  readonly holder: EventScope | undefined
  /** For messages. */
  show(): string
}

/** Sorts out who goes on when another event than `event`, or than one of its batch, holds this. */
export function assertFree(what: Holdable, event: EventScope): void {
  const { holder } = what
  if (holder !== undefined && holder.open && holder.fate !== event.fate) event.setAside(holder, what.show())
}

/** Rows that are read together, also those that are not there yet: an event that holds them lets nobody change them. */
export class RowRange implements Effect {
  /** The event that has read them. */
  holder: EventScope | undefined = undefined
  readonly #name: string

  constructor(name: string) {
    this.#name = name
  }

  show(): string {
    return this.#name
  }

  claim(event: EventScope): void {
    if (this.holder !== undefined && this.holder.fate === event.fate) return
    assertFree(this, event)
    event.hold(this)
    this.holder = event
  }

  apply(): void {
    this.free()
  }

  drop(event: EventScope): void {
    if (this.holder === event) this.free()
  }

  protected free(): void {
    this.holder = undefined
  }
}

/** What a group needs of the rows that it is of. */
interface GroupOwner<V> {
  /** It has no entry, and nobody holds it. */
  groupUnused(group: RowGroup<V>): void
}

/** The elements of one key of a set: those that are in the cache, and as a range all of them. */
export class RowGroup<V> extends RowRange {
  readonly name: string
  readonly entries: Set<V> = new Set<V>()
  /** The version of the table when one of them was changed last, or a later one. */
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

/** A group that was read, whether or not anything of it is in the cache. */
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
