import { type CodecSpec, MillraceError, type Scheduled, toError } from '@millrace/core'
import type { AnyChannel } from '../channels/channel.ts'
import type { PlannedSource } from '../topics/source-plan.ts'
import type { ErrorHandling } from '../errors/error-handling.ts'
import { currentEvent } from '../events/between-events.ts'
import type { EventSource } from '../events/source.ts'
import type { StreamEvent } from '../events/stream-event.ts'
import type { JoinSpec, JoinState } from '../joins/join-state.ts'
import type { JoinedPartitions } from '../stream-joins.ts'
import type { StreamWindowOptions, WindowKind, WindowState } from '../stream-windows.ts'
import type { AnyTopic } from '../topics/topic.ts'
import type { DedupeSpec, DedupeState } from '../states/dedupe-state.ts'
import type { SuppressSpec, SuppressState } from '../states/suppress-state.ts'
import type { AgentSources } from './agent-sources.ts'
import { Branching, givesEvents, type Predicate, withoutEnd } from './branching.ts'
import { StreamReader } from './stream-reader.ts'
import { Loops, LoopTurns } from './loops.ts'
import type { Branch, StreamStep } from './stream-step.ts'
import { type GroupSpec, repartitionStep } from './steps.ts'
import type { StepsToTopics } from './steps-to-topics.ts'
import { dropStep, keysOf } from './windowed-stream.ts'

/** One instance of an agent on a worker: the part that outlives the runs of its handler. */
export interface HandlerInstance {
  readonly index: number
  readonly errors: ErrorHandling
  readonly sources: AgentSources
  readonly stepsToTopics: StepsToTopics
}

/** One run of a handler, from its start to its end or error: the calls on its stream, and its events in flight. */
export class HandlerRun {
  readonly loops: Loops
  /** Whether the handler has begun to read its stream. */
  hasBegun = false
  /** A timer that reports a handler which does not begin to read; cancelled when it does. */
  silence: Scheduled | undefined = undefined
  readonly #instance: HandlerInstance
  readonly #readers: StreamReader[] = []
  /** The loop under way over a source. */
  readonly #looped = new Map<EventSource, StreamReader>()
  /** The step that reads a source: there may be only one, because events would be split among several. */
  readonly #steps = new Map<EventSource, string>()
  /** Steps to topics and windows, each by its own name. */
  readonly #named = new Set<string>()
  readonly #branchings: Branching[] = []

  constructor(instance: HandlerInstance) {
    this.#instance = instance
    this.loops = new Loops(instance.errors)
  }

  get agent(): string {
    return this.#instance.errors.context.agent
  }

  get errors(): ErrorHandling {
    return this.#instance.errors
  }

  /** Starts a loop of the handler. */
  read<V>(branches: readonly Branch[]): AsyncIterator<V, undefined> {
    return this.#orStop(() => {
      for (const { source } of branches) this.#assertUnread(source)
      const reader = new StreamReader({ errors: this.errors, branches, run: this.loops, isLoop: true })
      for (const { source } of branches) this.#looped.set(source, reader)
      this.#readers.push(reader)
      this.hasBegun = true
      this.silence?.cancel()
      return new StreamIterator<V>(this, reader)
    })
  }

  /** Called when the handler has left the loop of this reader. */
  left(reader: StreamReader): void {
    for (const [source, by] of this.#looped) if (by === reader) this.#looped.delete(source)
    reader.leave()
  }

  /** The sources with which the agent was declared. */
  declared(sources: readonly PlannedSource<AnyTopic>[]): readonly EventSource[] {
    return this.#instance.sources.declared(sources, this.#instance.index)
  }

  /** Another source of the agent. */
  further(source: AnyTopic | AnyChannel): readonly EventSource[] {
    const { sources, index } = this.#instance
    return this.#orStop(() => sources.further(source, index))
  }

  /** Sends everything through a repartition topic. */
  regroup(branches: readonly Branch[], spec: GroupSpec): EventSource {
    return this.#orStop(() => {
      const step = `groupBy "${spec.name}"`
      const raw = rawSpec(branches)
      const keepsBytes = raw !== undefined && (spec.value === undefined || spec.value === raw)
      this.#assertToTopic(branches, step)
      const { sources, index } = this.#instance
      const value = keepsBytes ? raw : (spec.value ?? 'json')
      const { topic, source } = sources.repartition(spec, { value, from: branches }, index)
      this.#sendOn(step, branches, repartitionStep({ topic, raw: keepsBytes, group: spec }))
      return source
    })
  }

  /** Sends everything through a topic of the user's. */
  sendThrough(branches: readonly Branch[], topic: AnyTopic): EventSource {
    return this.#orStop(() => {
      const step = `through "${topic.name}"`
      this.#assertToTopic(branches, step)
      const { sources, index } = this.#instance
      const source = sources.through(topic, index)
      const keepsBytes = rawSpec(branches) === topic.valueSpec
      this.#sendOn(step, branches, repartitionStep({ topic, raw: keepsBytes, group: undefined }))
      return source
    })
  }

  /** The events of these branches go out in the order of their times, at equal times those of an earlier branch first. */
  ordered(branches: readonly Branch[], where: string): void {
    return this.#orStop(() => {
      for (const { source } of branches)
        if (source.subscriptions.length === 0)
          throw new MillraceError(
            'DEFINITION_INVALID',
            `${where} orders ${source.where}, whose events have no times of their own: order topics.`,
          )
      this.#instance.sources.order(branches.map(({ source }) => source.subscriptions))
    })
  }

  /** Events of two streams wait for one another in a state; `alone`: those that have met none, if the join gives them out. */
  joinStreams(
    {
      left,
      right,
      where,
    }: { readonly left: readonly Branch[]; readonly right: readonly Branch[]; readonly where: string },
    spec: Omit<JoinSpec, 'topics' | 'subscriptions'>,
  ): { readonly state: JoinState; readonly alone: EventSource | undefined } {
    return this.#orStop(() => {
      const branches = [...left, ...right]
      const sources = new Set(branches.map(({ source }) => source))
      if (sources.size < branches.length)
        throw new MillraceError('DEFINITION_INVALID', `${where} reads the same source on both sides.`)
      this.#assertOnce(`join "${spec.name}"`)
      const { sources: own, index } = this.#instance
      this.ordered(branches, where)
      const topics = branches.flatMap(({ source }) => source.keys?.topics ?? [])
      const subscriptions = branches.flatMap(({ source }) => source.subscriptions)
      const state = own.joinState({ ...spec, topics, subscriptions })
      const isGiven = spec.rules.isGivenAlone('left') || spec.rules.isGivenAlone('right')
      return { state, alone: isGiven ? own.due(state.alone, index) : undefined }
    })
  }

  /** The ids that a stream has seen. */
  dedupeState(spec: DedupeSpec): DedupeState {
    this.#assertOnce(`dedupe "${spec.name}"`)
    return this.#instance.sources.state((states) => states.dedupe(spec))
  }

  /** Keeps everything back in a state, and reads it when its time has come. */
  suppressed(branches: readonly Branch[], spec: SuppressSpec, last: (state: SuppressState) => StreamStep): EventSource {
    const step = `suppress "${spec.name}"`
    this.#assertOnce(step)
    for (const { source } of branches) this.#assertFree(source)
    const { sources, index } = this.#instance
    const state = sources.state((states) => states.suppress(spec))
    const released = sources.due(state.released, index)
    this.#sendOn(step, branches, last(state))
    return released
  }

  /** Events are joined with a table: they must come from topics, in whose tasks its rows are. */
  readsTable(branches: readonly Branch[], table: JoinedPartitions<unknown, unknown>, where: string): void {
    return this.#orStop(() => {
      const without = branches.find(({ source }) => source.subscriptions.length === 0)
      if (without !== undefined)
        throw new MillraceError(
          'DEFINITION_INVALID',
          `${where} reads ${without.source.where}, whose events belong to no partition: give on the key of the row, or use a global table.`,
        )
      const subscriptions = branches.flatMap(({ source }) => source.subscriptions)
      this.#instance.sources.readsTable(subscriptions, table)
    })
  }

  /** Calls `use`; an error is a mistake in the use of the stream, and ends the worker. */
  checked<T>(use: () => T): T {
    return this.#orStop(use)
  }

  /** The state that events write by windows. */
  windowState(branches: readonly Branch[], kind: WindowKind, options: StreamWindowOptions): WindowState {
    return this.#orStop(() => {
      const spec = { agent: this.agent, kind, options, ...keysOf(branches, `${kind.kind}() of agent "${this.agent}"`) }
      const state = this.#instance.sources.windowState(spec)
      this.#assertOnce(windowsStep(state))
      return state
    })
  }

  /** Sends everything into windows, and reads them when they have closed. */
  closedWindows(branches: readonly Branch[], state: WindowState): EventSource {
    return this.#orStop(() => {
      for (const { source } of branches) this.#assertFree(source)
      const { sources, index } = this.#instance
      const closed = sources.due(state.closed, index)
      this.#sendOn(windowsStep(state), branches, dropStep)
      return closed
    })
  }

  /** Gives each event to the first branch whose predicate holds; the last branch gets the others. */
  branch(branches: readonly Branch[], predicates: readonly Predicate[]): readonly EventSource[] {
    return this.#orStop(() => {
      for (const { source } of branches) this.#assertUnread(source)
      const { loops, errors } = this
      const branching = new Branching({ errors, loops, branches, predicates, valueSpec: rawSpec(branches) })
      for (const { source } of branches) this.#steps.set(source, 'branch()')
      loops.turns ??= new LoopTurns()
      this.#branchings.push(branching)
      // By then the handler waits, or has failed by itself.
      setImmediate(() => this.#start(branching))
      return branching.sources
    })
  }

  /**
   * Gives back everything in flight except the event to which the error belongs: the one whose `run(fn)` failed with
   * it, or otherwise the one handed out last.
   */
  settleAll(error: unknown): StreamEvent | undefined {
    const { loops } = this
    loops.ended = true
    const events = [...loops.loose, ...loops.left, ...this.#readers.map(({ current }) => current)]
    const inFlight = [...new Set(events.filter(isInFlight).map(({ first }) => first))]
    const latest = currentEvent(loops.current)?.first
    const failed =
      inFlight.find((event) => error !== undefined && event.failedWith(error)) ??
      inFlight.find((event) => event === latest) ??
      inFlight.at(-1)
    for (const reader of this.#readers) reader.close()
    for (const branching of this.#branchings) branching.end()
    loops.turns?.close()
    for (const event of inFlight.toReversed()) if (event !== failed) event.requeue()
    return failed
  }

  #start(branching: Branching): void {
    if (this.loops.over) return
    const without = branching.sources.find((source) => !this.#looped.has(source) && !this.#steps.has(source))
    if (without === undefined) return branching.start()
    this.errors.stop(withoutEnd(without, this.agent))
    branching.end()
  }

  /** Every event would fail in the same way as the current one: a mistake in the use of the stream ends the worker. */
  #orStop<T>(use: () => T): T {
    try {
      return use()
    } catch (error) {
      this.errors.stop(toError(error))
      throw error
    }
  }

  #sendOn(step: string, branches: readonly Branch[], last: Branch['steps'][number]): void {
    for (const { source } of branches) this.#steps.set(source, step)
    this.#instance.stepsToTopics.run(
      step,
      branches.map(({ source, steps }) => ({ source, steps: [...steps, last] })),
    )
  }

  #assertOnce(step: string): void {
    if (this.#named.has(step))
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Agent "${this.agent}" calls ${step} twice: give each a name of its own.`,
      )
    this.#named.add(step)
  }

  #assertToTopic(branches: readonly Branch[], step: string): void {
    for (const branch of branches) {
      this.#assertFree(branch.source)
      if (givesEvents(branch))
        throw new MillraceError(
          'DEFINITION_INVALID',
          `Agent "${this.agent}" calls events() before ${step}: call it afterwards.`,
        )
    }
    this.#assertOnce(step)
  }

  #assertUnread(source: EventSource): void {
    this.#assertFree(source)
    if (!this.#looped.has(source)) return
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${this.agent}" begins a second loop over ${source.where} while the first still runs; each event would go to one of them. Loop once, and use echo() or another agent for further work on each event.`,
    )
  }

  #assertFree(source: EventSource): void {
    const step = this.#steps.get(source)
    if (step === undefined) return
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${this.agent}" reads ${source.where}, whose events go through ${step} already.`,
    )
  }
}

const END: IteratorReturnResult<undefined> = Object.freeze({ value: undefined, done: true })

/** The user's loop over a reader. */
class StreamIterator<V> implements AsyncIterator<V, undefined> {
  readonly #run: HandlerRun
  readonly #reader: StreamReader

  constructor(run: HandlerRun, reader: StreamReader) {
    this.#run = run
    this.#reader = reader
  }

  /** Must stay a plain function: it enters the event for the caller, and `async` would limit that to itself. */
  next(): Promise<IteratorResult<V, undefined>> {
    const next = this.#reader.next()
    return next instanceof Promise ? next.then((event) => resultOf<V>(event)) : Promise.resolve(resultOf<V>(next))
  }

  /** The loop was left by `break`, `return` or an error: which one, and so the fate of the event, shows later. */
  return(): Promise<IteratorResult<V, undefined>> {
    this.#run.left(this.#reader)
    return Promise.resolve(END)
  }
}

function resultOf<V>(event: StreamEvent | undefined): IteratorResult<V, undefined> {
  return event === undefined ? END : { value: event.current as V, done: false }
}

/** The spec of the values' bytes, if no step has changed them. */
export function rawSpec(branches: readonly Branch[]): CodecSpec | undefined {
  const specs = new Set(branches.map(({ source }) => source.valueSpec))
  if (specs.size !== 1 || branches.some(({ steps }) => steps.some((step) => step.changesValue))) return undefined
  return branches[0]?.source.valueSpec
}

function windowsStep({ name }: WindowState): string {
  return `windows "${name}"`
}

function isInFlight(event: StreamEvent | undefined): event is StreamEvent {
  return event !== undefined && !event.over
}
