import { isChangeOfFrozen, MillraceError } from '@millrace/core'
import type { EntryOwner, KeyEntry } from '@millrace/state'
import type { CurrentEvent } from '@millrace/worker'

/** What a table gives out where a key has no value, and how a value is changed. `G`: `V` with a default, else `V | undefined`. */
export class TableValues<V, G extends V | undefined> {
  readonly #fallback: (() => V) | undefined

  constructor(fallback: (() => V) | undefined) {
    this.#fallback = fallback
  }

  given(value: V | undefined, rows: EntryOwner<V>): G {
    // G is V exactly when there is a fallback: `createTable` derives both from the same options.
    return (value === undefined && this.#fallback !== undefined ? rows.guard(this.#fallback()) : value) as G
  }

  /** What `change` makes of a key's value, as the event sees it, or of the default. Throws `VALUE_FROZEN`. */
  changed(entry: KeyEntry<V>, event: CurrentEvent, change: (value: G) => V): V {
    const value = this.given(entry.view(event), entry.rows)
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
