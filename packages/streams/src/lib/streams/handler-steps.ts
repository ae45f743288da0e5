import { type CodecSpec, MillraceError, toError } from '@millrace/core'
import type { DueSource } from '@millrace/worker'
import type { AnyChannel } from '../channels/channel.ts'
import type { PlannedSource } from '../topics/source-plan.ts'
import { cannotWait } from '../errors/retry-plan.ts'
import type { ErrorHandling } from '../errors/error-handling.ts'
import type { EventSource } from '../events/source.ts'
import type { JoinSpec, JoinState } from '../joins/join-state.ts'
import type { JoinedPartitions } from '../stream-joins.ts'
import type { StreamWindowOptions, WindowKind, WindowState } from '../stream-windows.ts'
import type { AnyTopic } from '../topics/topic.ts'
import type { DedupeSpec, DedupeState } from '../states/dedupe-state.ts'
import type { SuppressSpec, SuppressState } from '../states/suppress-state.ts'
import type { AgentSources } from './agent-sources.ts'
import { givesEvents } from './branching.ts'
import type { Branch, StreamStep } from './stream-step.ts'
import { type GroupSpec, repartitionStep } from './steps.ts'
import type { StepsToTopics } from './steps-to-topics.ts'
import { keysOf } from './keys-of.ts'

/** One instance of an agent on a worker: the part that outlives the runs of its handler. */
export interface HandlerInstance {
  readonly index: number
  readonly errors: ErrorHandling
  readonly sources: AgentSources
  readonly stepsToTopics: StepsToTopics
}

/**
 * What one run of a handler declares on its sources before it reads them: topics that events go through, and the states of
 * windows, joins and other operators. Each source has one reader.
 */
export class HandlerSteps {
  readonly #instance: HandlerInstance
  /** The step that reads a source: there may be only one, because events would be split among several. */
  readonly #steps = new Map<EventSource, string>()
  /** Steps to topics and states, each by its own name. */
  readonly #named = new Set<string>()

  constructor(instance: HandlerInstance) {
    this.#instance = instance
  }

  get #agent(): string {
    return this.#instance.errors.context.agent
  }

  /** The sources with which the agent was declared. */
  declared(sources: readonly PlannedSource<AnyTopic>[]): readonly EventSource[] {
    return this.#instance.sources.declared(sources, this.#instance.index)
  }

  /** Another source of the agent. */
  further(source: AnyTopic | AnyChannel): readonly EventSource[] {
    const { sources, index } = this.#instance
    return orStop(this.#instance.errors, () => sources.further(source, index))
  }

  /** Sends everything through a repartition topic. */
  regroup(branches: readonly Branch[], spec: GroupSpec): EventSource {
    return orStop(this.#instance.errors, () => {
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
    return orStop(this.#instance.errors, () => {
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
    return orStop(this.#instance.errors, () => {
      if (this.#instance.errors.context.retry !== undefined)
        throw cannotWait(
          this.#agent,
          `${where} takes events in the order of their times, which an event that waits cannot keep: handle what may fail in an agent behind it.`,
        )
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
    return orStop(this.#instance.errors, () => {
      const branches = [...left, ...right]
      const sources = new Set(branches.map(({ source }) => source))
      if (sources.size < branches.length)
        throw new MillraceError('DEFINITION_INVALID', `${where} reads the same source on both sides.`)
      this.#assertOnce(`join "${spec.name}"`)
      this.ordered(branches, where)
      const topics = branches.flatMap(({ source }) => source.keys?.topics ?? [])
      const subscriptions = branches.flatMap(({ source }) => source.subscriptions)
      const state = this.#instance.sources.joinState({ ...spec, topics, subscriptions })
      const isGiven = spec.rules.isGivenAlone('left') || spec.rules.isGivenAlone('right')
      return { state, alone: isGiven ? this.due(state.alone) : undefined }
    })
  }

  /** The ids that a stream has seen. */
  dedupeState(spec: DedupeSpec): DedupeState {
    this.#assertOnce(`dedupe "${spec.name}"`)
    return this.#instance.sources.state((states) => states.dedupe(spec))
  }

  /** Keeps everything back in a state, and reads it when its time has come. */
  suppressed(branches: readonly Branch[], spec: SuppressSpec, last: (state: SuppressState) => StreamStep): EventSource {
    for (const { source } of branches) this.assertFree(source)
    const { state, released } = this.heldBack(spec)
    this.#sendOn(suppressStep(spec), branches, last(state))
    return released
  }

  /** A state that holds values back, and the source of those whose time has come. */
  heldBack(spec: SuppressSpec): { readonly state: SuppressState; readonly released: EventSource } {
    this.#assertOnce(suppressStep(spec))
    const state = this.#instance.sources.state((states) => states.suppress(spec))
    return { state, released: this.due(state.released) }
  }

  /** Events are joined with a table: they must come from topics, in whose tasks its rows are. */
  readsTable(branches: readonly Branch[], table: JoinedPartitions<unknown, unknown>, where: string): void {
    return orStop(this.#instance.errors, () => {
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

  /** Whether a step reads the source. */
  reads(source: EventSource): boolean {
    return this.#steps.has(source)
  }

  /** Gives the source to a step. */
  take(source: EventSource, step: string): void {
    this.#steps.set(source, step)
  }

  /** The state that events write by windows. */
  windowState(branches: readonly Branch[], kind: WindowKind, options: StreamWindowOptions): WindowState {
    return orStop(this.#instance.errors, () => {
      const spec = {
        agent: this.#agent,
        kind,
        options,
        ...keysOf(branches, `${kind.kind}() of agent "${this.#agent}"`),
      }
      const state = this.#instance.sources.windowState(spec)
      this.#assertOnce(windowsStep(state))
      return state
    })
  }

  /** Sends everything into windows, whose results are read elsewhere. */
  intoWindows(branches: readonly Branch[], state: WindowState, last: StreamStep): void {
    for (const { source } of branches) this.assertFree(source)
    this.#sendOn(windowsStep(state), branches, last)
  }

  /** What is due in a state. */
  due(source: DueSource<unknown, unknown>): EventSource {
    const { sources, index } = this.#instance
    return sources.due(source, index)
  }

  #sendOn(step: string, branches: readonly Branch[], last: Branch['steps'][number]): void {
    for (const { source } of branches) this.take(source, step)
    this.#instance.stepsToTopics.run(
      step,
      branches.map(({ source, steps }) => ({ source, steps: [...steps, last] })),
    )
  }

  #assertOnce(step: string): void {
    if (this.#named.has(step))
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Agent "${this.#agent}" calls ${step} twice: give each a name of its own.`,
      )
    this.#named.add(step)
  }

  #assertToTopic(branches: readonly Branch[], step: string): void {
    for (const branch of branches) {
      this.assertFree(branch.source)
      if (givesEvents(branch))
        throw new MillraceError(
          'DEFINITION_INVALID',
          `Agent "${this.#agent}" calls events() before ${step}: call it afterwards.`,
        )
    }
    this.#assertOnce(step)
  }

  /** Throws `DEFINITION_INVALID` if a step reads the source already. */
  assertFree(source: EventSource): void {
    const step = this.#steps.get(source)
    if (step === undefined) return
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${this.#agent}" reads ${source.where}, whose events go through ${step} already.`,
    )
  }
}

/** Every event would fail in the same way as the current one: a mistake in the use of the stream ends the worker. */
export function orStop<T>(errors: ErrorHandling, use: () => T): T {
  try {
    return use()
  } catch (error) {
    errors.stop(toError(error))
    throw error
  }
}

/** The spec of the values' bytes, if no step has changed them. */
export function rawSpec(branches: readonly Branch[]): CodecSpec | undefined {
  const specs = new Set(branches.map(({ source }) => source.valueSpec))
  if (specs.size !== 1 || branches.some(({ steps }) => steps.some((step) => step.changesValue))) return undefined
  return branches[0]?.source.valueSpec
}

function suppressStep({ name }: SuppressSpec): string {
  return `suppress "${name}"`
}

function windowsStep({ name }: WindowState): string {
  return `windows "${name}"`
}
