import { checkOptions, type CodecSpec, MillraceError, type OptionNames, resolveCodec } from '@millrace/core'
import type { EventSource } from '../events/source.ts'
import type { StreamEvent } from '../events/stream-event.ts'
import type { Side } from '../joins/join-entries.ts'
import { JoinRules, type JoinSpans, type StreamJoinKind } from '../joins/join-rules.ts'
import type { AloneEvent, JoinState } from '../joins/join-state.ts'
import { TakeStep } from './batching.ts'
import { givesEvents } from './branching.ts'
import type { HandlerRun } from './handler-run.ts'
import { rawSpec } from './handler-steps.ts'
import { type Branch, ManyValues, type StreamStep } from './stream-step.ts'
import { mapStep } from './steps.ts'

/** Options of a join of two streams. */
export interface StreamJoinOptions<J extends StreamJoinKind> extends JoinSpans {
  /** Default `'inner'`: pairs alone. `'left'`: also values of this stream that have met none. `'outer'`: those of both. */
  readonly kind?: J | undefined
  /** Events meet whose times are at most so far apart. */
  readonly within?: JoinSpans['within']
  /** In place of `within`: how much earlier an event of the other stream may be. */
  readonly before?: JoinSpans['before']
  /** In place of `within`: how much later an event of the other stream may be. */
  readonly after?: JoinSpans['after']
  /** How long events are waited for that come late. Default `'0s'`. */
  readonly grace?: JoinSpans['grace']
  /** A topic for the records of late events, with the header `millrace-late-by` (milliseconds). */
  readonly late?: { readonly name: string } | undefined
  /** Of the join's state and its changelog. Default: `{agent}-join`. */
  readonly name?: string | undefined
  /** How values of this stream are kept, if a step before has changed them. Default `'json'`. */
  readonly value?: CodecSpec | undefined
  /** How those of the other stream are. Default `'json'`. */
  readonly otherValue?: CodecSpec | undefined
}

/** What the function of a join gets of this stream. */
export type LeftValue<V, J extends StreamJoinKind> = J extends 'outer' ? V | undefined : V
/** What it gets of the other one. */
export type RightValue<V, J extends StreamJoinKind> = J extends 'inner' ? V : V | undefined

const OPTIONS: OptionNames<StreamJoinOptions<StreamJoinKind>> = {
  kind: true,
  within: true,
  before: true,
  after: true,
  grace: true,
  late: true,
  name: true,
  value: true,
  otherValue: true,
}

export interface StreamJoinSpec {
  readonly left: readonly Branch[]
  readonly right: readonly Branch[]
  readonly options: StreamJoinOptions<StreamJoinKind>
  readonly join: (left: never, right: never) => unknown
}

/** The branches of two streams that are joined. Throws `JOIN_INVALID`, `DEFINITION_INVALID`, `KEY_CODEC_DIFFERS`, `TOPOLOGY_LATE`. */
export function joinStreams(run: HandlerRun, { left, right, options, join }: StreamJoinSpec): readonly Branch[] {
  const where = `join() of agent "${run.agent}"`
  checkOptions(where, options, OPTIONS)
  const { kind = 'inner', late, name = `${run.agent}-join`, value, otherValue } = options
  const rules = new JoinRules(where, kind, options)
  if (typeof join !== 'function')
    throw new MillraceError('DEFINITION_INVALID', `${where} needs a function of both values.`)
  if (late !== undefined && (typeof late !== 'object' || late === null || typeof late.name !== 'string'))
    throw new MillraceError('DEFINITION_INVALID', `late of ${where} takes a topic of the app.`)
  for (const branch of [...left, ...right]) assertOneValue(branch, where)
  const sides = { left: specOf(left, value), right: specOf(right, otherValue) }
  const key = commonKey([...left, ...right], where)
  const { state, alone } = run.steps.joinStreams(
    { left, right, where },
    { agent: run.agent, name, rules, key, values: { left: sides.left.spec, right: sides.right.spec }, late },
  )
  const pairs = mapStep(([a, b]: readonly [unknown, unknown]) => join(a as never, b as never))
  const withSteps = (branches: readonly Branch[], side: Side): readonly Branch[] =>
    branches.map(({ source, steps }) => ({
      source,
      steps: [...steps, meetStep(state, rules, { side, isRaw: sides[side].isRaw }), pairs],
    }))
  const both = [...withSteps(left, 'left'), ...withSteps(right, 'right')]
  return alone === undefined ? both : [...both, { source: alone, steps: [aloneStep, pairs] }]
}

function meetStep(
  state: JoinState,
  rules: JoinRules,
  { side, isRaw }: { readonly side: Side; readonly isRaw: boolean },
): StreamStep {
  const pairOf = (own: unknown, other: unknown): readonly [unknown, unknown] =>
    side === 'left' ? [own, other] : [other, own]
  return {
    changesValue: true,
    spreads: true,
    run(event) {
      const own = event.current
      if (own === null || own === undefined) return dropped(event)
      // A record without a key meets none.
      if (event.inFlight.record.key === null)
        return rules.isGivenAlone(side) ? withPair(event, pairOf(own, undefined)) : dropped(event)
      const raw = isRaw ? event.rawValue : undefined
      const value = raw ?? state.encode(side, own)
      const { counters: counts, worker } = event.origin.context
      const found = state.meet(side, event.key, { value, counts, log: worker.log })
      const [only] = found ?? []
      if (found === undefined || found.length === 0) return dropped(event)
      if (found.length === 1) return withPair(event, pairOf(own, only))
      return new ManyValues(event, found.map((other) => pairOf(own, other)).values())
    },
  }
}

/** Events of one key that have met none, and whose time is over together. */
const aloneStep: StreamStep = {
  changesValue: true,
  spreads: true,
  run(event) {
    const pairs = (event.current as readonly AloneEvent[]).map(({ side, value }) =>
      side === 'left' ? [value, undefined] : [undefined, value],
    )
    const [only] = pairs
    if (only === undefined) return dropped(event)
    if (pairs.length === 1) return withPair(event, only)
    return new ManyValues(event, pairs.values())
  },
}

function withPair(event: StreamEvent, pair: readonly unknown[]): StreamEvent {
  event.current = pair
  event.changed = true
  return event
}

function dropped(event: StreamEvent): undefined {
  event.done()
  return undefined
}

/** How the values of a side are kept: in their own bytes if no step has changed them. */
function specOf(branches: readonly Branch[], given: CodecSpec | undefined): { spec: CodecSpec; isRaw: boolean } {
  const raw = rawSpec(branches)
  return raw !== undefined && (given === undefined || given === raw)
    ? { spec: raw, isRaw: true }
    : { spec: given ?? 'json', isRaw: false }
}

/** What waits is known by its record: each must have one value. */
export function assertOneValue(branch: Branch, where: string): void {
  const { source, steps } = branch
  const spreads = source.branch?.spreads === true || steps.some((step) => step.spreads)
  const what = steps.some((step) => step instanceof TakeStep)
    ? 'take()'
    : spreads
      ? 'flatMap() or another join()'
      : givesEvents(branch)
        ? 'events()'
        : undefined
  if (what === undefined) return
  throw new MillraceError(
    'DEFINITION_INVALID',
    `${where} comes behind ${what}: call it before, or send the values through a topic in between, with through() or groupBy().`,
  )
}

/** Throws `DEFINITION_INVALID`, `KEY_CODEC_DIFFERS`. */
function commonKey(branches: readonly Branch[], where: string): CodecSpec {
  const keys = branches.map(({ source }) => keyOf(source, where))
  const [first] = keys
  if (first === undefined) throw new MillraceError('DEFINITION_INVALID', `${where} reads nothing.`)
  const other = keys.find(({ name }) => name !== first.name)
  if (other === undefined) return first.spec
  throw new MillraceError(
    'KEY_CODEC_DIFFERS',
    `${where}: the keys of ${first.of} are ${first.name}, and those of ${other.of} are ${other.name}.`,
  )
}

function keyOf({ keys, where: of }: EventSource, where: string): { spec: CodecSpec; name: string; of: string } {
  if (keys !== undefined) return { spec: keys.spec, name: resolveCodec(keys.spec, 'key', of).name, of }
  throw new MillraceError(
    'DEFINITION_INVALID',
    `${where} reads ${of}, whose keys are not declared: give its topic key, or call groupBy() before.`,
  )
}
