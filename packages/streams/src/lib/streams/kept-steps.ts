import {
  checkOptions,
  type CodecSpec,
  type Duration,
  MillraceError,
  type OptionNames,
  shownValue,
  wholeMilliseconds,
} from '@millrace/core'
import type { Event } from '../events/event.ts'
import type { DedupeState } from '../states/dedupe-state.ts'
import type { SuppressState } from '../states/suppress-state.ts'
import type { HandlerRun } from './handler-run.ts'
import { rawSpec } from './handler-steps.ts'
import { assertOneValue } from './stream-join.ts'
import type { Branch, StreamStep } from './stream-step.ts'
import { keysOf } from './keys-of.ts'

/** How events are told apart. */
export interface DedupeOptions<V> {
  /** The id of a value: two events with one id are the same. They must have one key, so that they meet in one partition. */
  readonly by: (value: V) => string | number
  /** For how long after the first event the others are dropped, by the times of the events. */
  readonly within: Duration
  /** Of what is kept, and its changelog. Default: `{agent}-dedupe`. */
  readonly name?: string | undefined
}

/** How values are kept back. */
export interface SuppressOptions {
  /** How long after the first value of a key the last one goes on, by the clock. */
  readonly every: Duration
  /** Of what is kept, and its changelog. Default: `{agent}-suppress`. */
  readonly name?: string | undefined
  /** How values are kept. Default: as their topic has them, or `'json'` behind a step that changes them. */
  readonly value?: CodecSpec | undefined
}

const DEDUPE_OPTIONS: OptionNames<DedupeOptions<never>> = { by: true, within: true, name: true }
const SUPPRESS_OPTIONS: OptionNames<SuppressOptions> = { every: true, name: true, value: true }

/** Drops events whose id was seen. Throws `DEDUPE_INVALID`, `DEFINITION_INVALID`, `NAME_TAKEN`. */
export function dedupe(run: HandlerRun, branches: readonly Branch[], options: DedupeOptions<never>): readonly Branch[] {
  const where = `dedupe() of agent "${run.agent}"`
  checkOptions(where, options, DEDUPE_OPTIONS)
  const { by, name = `${run.agent}-dedupe` } = options
  if (typeof by !== 'function') throw new MillraceError('DEDUPE_INVALID', `${where} needs by, the id of a value.`)
  const withinMs = readSpan('DEDUPE_INVALID', `within of ${where}`, options.within)
  for (const branch of branches) assertOneValue(branch, where)
  const { topics } = keysOf(branches, where)
  const state = run.steps.dedupeState({ agent: run.agent, name, withinMs, topics })
  const step = dedupeStep(state, by, where)
  return branches.map(({ source, steps }) => ({ source, steps: [...steps, step] }))
}

/** Keeps values, and gives the last one of each key. Throws `SUPPRESS_INVALID`, `DEFINITION_INVALID`, `NAME_TAKEN`. */
export function suppress(run: HandlerRun, branches: readonly Branch[], options: SuppressOptions): readonly Branch[] {
  const where = `suppress() of agent "${run.agent}"`
  checkOptions(where, options, SUPPRESS_OPTIONS)
  const { name = `${run.agent}-suppress`, value } = options
  const everyMs = readPeriod(where, options.every)
  const { key, topics } = keysOf(branches, where)
  const raw = rawSpec(branches)
  const isRaw = raw !== undefined && (value === undefined || value === raw)
  const spec = { agent: run.agent, name, everyMs, key, value: isRaw ? raw : (value ?? 'json'), topics }
  const released = run.steps.suppressed(branches, spec, (state) => suppressStep(state, isRaw))
  return [{ source: released, steps: [] }]
}

function dedupeStep(state: DedupeState, by: (value: never) => unknown, where: string): StreamStep {
  return {
    changesValue: false,
    run(event) {
      const id = by(event.current as never)
      if (typeof id !== 'string' && typeof id !== 'number')
        throw new MillraceError('KEY_INVALID', `by of ${where} gave ${String(id)}, which is neither text nor a number.`)
      if (state.isFirst(String(id))) return event
      event.done()
      return undefined
    },
  }
}

function suppressStep(state: SuppressState, isRaw: boolean): StreamStep {
  return {
    changesValue: false,
    run(event) {
      // After events() the value is the event itself.
      const value = event.current === event ? (event as Event<unknown, unknown>).value : event.current
      const raw = isRaw ? event.rawValue : undefined
      const { clock } = event.worker
      if (value !== null && value !== undefined && event.inFlight.record.key !== null)
        state.keep(event.key, raw ?? state.encode(value), clock.now())
      event.done()
      return undefined
    },
  }
}

/** How long values are held back, in milliseconds. Throws `SUPPRESS_INVALID`. */
export function readPeriod(where: string, every: Duration): number {
  return readSpan('SUPPRESS_INVALID', `every of ${where}`, every)
}

function readSpan(code: 'DEDUPE_INVALID' | 'SUPPRESS_INVALID', what: string, given: Duration): number {
  const ms = wholeMilliseconds(given, what, code)
  if (ms > 0) return ms
  throw new MillraceError(code, `${what} is ${shownValue(given)}; it must be longer.`)
}
