import { MillraceError } from '@millrace/core'
import type { StateContext } from '@millrace/state'
import { RetryState, type RetrySpec } from '../retries/retry-state.ts'
import { DedupeState, type DedupeSpec } from './dedupe-state.ts'
import { SuppressState, type SuppressSpec } from './suppress-state.ts'

/** A state of an agent's stream. */
interface NamedSpec {
  readonly agent: string
  /** The name of the state and its changelog. */
  readonly name: string
}

/**
 * The states of the operators of an app's streams. Agents declare them each time their handlers start, in each worker; a state
 * that is declared already is returned.
 */
export class StreamStates {
  readonly #context: StateContext
  readonly #agents = new Map<string, string>()
  readonly #dedupes = new Map<string, DedupeState>()
  readonly #suppresses = new Map<string, SuppressState>()
  readonly #retries = new Map<string, RetryState>()

  constructor(context: StateContext) {
    this.#context = context
  }

  /** Throws `NAME_TAKEN`. */
  dedupe(spec: DedupeSpec): DedupeState {
    return this.#open(this.#dedupes, spec, () => new DedupeState(this.#context, spec))
  }

  /** Throws `NAME_TAKEN`, `CODEC_UNKNOWN`. */
  suppress(spec: SuppressSpec): SuppressState {
    return this.#open(this.#suppresses, spec, () => new SuppressState(this.#context, spec))
  }

  /** Throws `NAME_TAKEN`. */
  retries(spec: RetrySpec): RetryState {
    return this.#open(this.#retries, spec, () => new RetryState(this.#context, spec))
  }

  #open<S>(opened: Map<string, S>, { agent, name }: NamedSpec, make: () => S): S {
    const known = opened.get(name)
    const owner = this.#agents.get(name)
    if (known !== undefined && owner === agent) return known
    if (owner !== undefined)
      throw new MillraceError(
        'NAME_TAKEN',
        `Agents "${owner}" and "${agent}" both keep something as "${name}": give one of the operators the option name.`,
      )
    const state = make()
    this.#agents.set(name, agent)
    opened.set(name, state)
    return state
  }
}
