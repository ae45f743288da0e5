import { isChangeOfFrozen, MillraceError } from '@millrace/core'
import type { EntryOwner, KeyEntry } from '@millrace/state'

/** What a table gives out where a key has no value, and how a value is changed. `G`: `V` with a default, else `V | undefined`. */
export class TableValues<V, G extends V | undefined> {
  readonly #fallback: (() => V) | undefined

  constructor(fallback: (() => V) | undefined) {
    this.#fallback = fallback
  }

  given(value: V | undefined, rows: Pick<EntryOwner<unknown>, 'guard'>): G {
    // G is V exactly when there is a fallback: `createTable` derives both from the same options.
    return (value === undefined && this.#fallback !== undefined ? rows.guard(this.#fallback()) : value) as G
  }

  /** What `change` makes of a value in the row `entry`, or of the default. Throws `VALUE_FROZEN`. */
  changed(entry: KeyEntry<unknown>, before: V | undefined, change: (value: G) => V): V {
    const value = this.given(before, entry.rows)
    try {
      return change(value)
    } catch (thrown) {
      if (!isChangeOfFrozen(thrown)) throw thrown
      throw new MillraceError(
        'VALUE_FROZEN',
        `The function given to update changes ${entry.show()} in place: ${thrown.message}.`,
        { cause: thrown },
      )
    }
  }
}
