import { jsonText } from '../pages/json-text.ts'
import { mergePatch, type Json } from './merge-patch.ts'

/** A state that can be told in messages: many streams share one, and compare it by identity. */
export interface TellableState {
  readonly json: Json
}

/** A merge patch cannot say that something is `null`: it is left out. */
export function tellable(value: unknown): TellableState {
  return { json: JSON.parse(jsonText(value), (_, each: unknown) => (each === null ? undefined : each)) }
}

/** Server-sent events about a state. However many streams go from one state to the next, the message is made once. */
export class StateMessages {
  readonly #whole = new WeakMap<TellableState, string>()
  readonly #changes = new WeakMap<TellableState, WeakMap<TellableState, string>>()

  /** `state` with all there is, or `change` with a merge patch; empty when nothing changed. */
  from(before: TellableState | undefined, now: TellableState): string {
    if (before === undefined)
      return remember(this.#whole, now, () => `event: state\ndata: ${JSON.stringify(now.json)}\n\n`)
    const fromThere = remember(this.#changes, before, () => new WeakMap<TellableState, string>())
    return remember(fromThere, now, () => {
      const change = mergePatch(before.json, now.json)
      return change === undefined ? '' : `event: change\ndata: ${JSON.stringify(change)}\n\n`
    })
  }
}

function remember<K extends object, V>(known: WeakMap<K, V>, key: K, make: () => V): V {
  const found = known.get(key)
  if (found !== undefined) return found
  const made = make()
  known.set(key, made)
  return made
}
