import { MillraceError } from '@millrace/core'
import type { StateContext } from '@millrace/state'
import { type JoinSpec, JoinState } from './join-state.ts'

/**
 * The states of an app's joins of two streams. Agents declare them each time their handlers start, in each worker; a state that
 * is declared already is returned.
 */
export class JoinStates {
  readonly #context: StateContext
  /** By name. */
  readonly #opened = new Map<string, { readonly agent: string; readonly state: JoinState }>()

  constructor(context: StateContext) {
    this.#context = context
  }

  /** Throws `NAME_TAKEN`, `CODEC_UNKNOWN`. */
  open(spec: JoinSpec): JoinState {
    const { agent, name } = spec
    const known = this.#opened.get(name)
    if (known?.agent === agent) return known.state
    if (known !== undefined)
      throw new MillraceError(
        'NAME_TAKEN',
        `Agents "${known.agent}" and "${agent}" both have a join called "${name}": give one of them the option name.`,
      )
    const state = new JoinState(this.#context, spec)
    this.#opened.set(name, { agent, state })
    return state
  }
}
