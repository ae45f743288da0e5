import { checkOptions, type CodecSpec, type Duration, MillraceError, resolveCodec } from '@millrace/core'
import { heldResults } from '../states/held-results.ts'
import type { WindowState } from '../stream-windows.ts'
import type { HandlerRun } from './handler-run.ts'
import { orStop } from './handler-steps.ts'
import { readPeriod } from './kept-steps.ts'
import type { Branch } from './stream-step.ts'
import { type CountInWindows, LastWindowStep, releaseStep } from './window-steps.ts'
import { keysOf } from './keys-of.ts'

/**
 * When the results of windows come: after each change; once for each key and window, when it has closed; or the last ones of
 * each key every so often, by the clock.
 */
export type EmitWhen = 'update' | 'close' | { readonly every: Duration }

export interface WindowEmitsOptions {
  readonly run: HandlerRun
  readonly branches: readonly Branch[]
  readonly state: WindowState
  readonly count: CountInWindows
  /** How results are encoded. */
  readonly value: CodecSpec
  /** The windows, for messages. */
  readonly name: string
}

/** The results of one stream's windows when they are not read after each event: from the state, or held back. */
export class WindowEmits {
  readonly #options: WindowEmitsOptions
  readonly #last: LastWindowStep
  #isCounting = false

  constructor(options: WindowEmitsOptions) {
    this.#options = options
    this.#last = new LastWindowStep(options.count)
  }

  /** Throws `DEFINITION_INVALID`, `SUPPRESS_INVALID`, `NAME_TAKEN`, `TOPOLOGY_LATE`. */
  emit(when: Exclude<EmitWhen, 'update'>): Branch {
    return orStop(this.#options.run.errors, () => {
      if (when === 'close') return this.#closed()
      if (typeof when === 'object' && when !== null) return this.#every(when)
      throw new MillraceError(
        'DEFINITION_INVALID',
        `emit() of ${this.#options.name} takes 'update', 'close' or { every: '10s' }, not ${String(when)}.`,
      )
    })
  }

  #closed(): Branch {
    const { run, state } = this.#options
    const source = run.steps.due(state.closed)
    this.#count()
    return { source, steps: [] }
  }

  #every(options: { readonly every: Duration }): Branch {
    const { run, branches, state, value, name } = this.#options
    const where = `emit() of ${name}`
    checkOptions(where, options, { every: true })
    const everyMs = readPeriod(where, options.every)
    if (this.#last.held !== undefined)
      throw new MillraceError(
        'DEFINITION_INVALID',
        `${where} was called twice with { every }: read one stream, and use echo() or another agent for more.`,
      )
    const held = `results of ${name}`
    const { state: suppress, released } = run.steps.heldBack({
      agent: run.agent,
      name: `${state.name}-suppress`,
      everyMs,
      value: heldResults(resolveCodec(value, 'row', held), held),
      ...keysOf(branches, where),
    })
    this.#last.held = suppress
    this.#count()
    return { source: released, steps: [releaseStep(state)] }
  }

  /** Counts all events from now on. */
  #count(): void {
    if (this.#isCounting) return
    this.#isCounting = true
    const { run, branches, state } = this.#options
    run.steps.intoWindows(branches, state, this.#last)
  }
}
