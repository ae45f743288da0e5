import { deferred, type Deferred, type CodecSpec, MillraceError, toError } from '@millrace/core'
import type { ErrorHandling } from '../errors/error-handling.ts'
import { BetweenEvents } from '../events/between-events.ts'
import { type BranchOrigin, type EventSource, type SourceKeys, type Wakeup, Watchers } from '../events/source.ts'
import type { StreamEvent } from '../events/stream-event.ts'
import { StreamReader } from './stream-reader.ts'
import type { Loops } from './loops.ts'
import { type Branch, isPromiseLike, type StreamStep, type StepResult } from './stream-step.ts'
import { EventsStep } from './steps.ts'

/** Says whether a value belongs to a branch. */
export type Predicate = (value: unknown) => unknown

export interface BranchingOptions {
  readonly errors: ErrorHandling
  /** The loops of the run that has called `branch()`. */
  readonly loops: Loops
  readonly branches: readonly Branch[]
  readonly predicates: readonly Predicate[]
  readonly valueSpec: CodecSpec | undefined
}

/**
 * `branch()`: takes events through the steps before it, and gives each to the first branch whose predicate holds. The
 * next event is taken when that branch asks for more, so that the events of a key keep their order across branches.
 */
export class Branching {
  readonly sources: readonly BranchSource[]
  readonly #options: BranchingOptions
  #reader: StreamReader | undefined
  #ended = false

  constructor(options: BranchingOptions) {
    this.#options = options
    const { branches, predicates, valueSpec } = options
    const origin: BranchOrigin = {
      givesEvents: branches.some(givesEvents),
      spreads: branches.some(
        ({ source, steps }) => source.branch?.spreads === true || steps.some((step) => step.spreads),
      ),
      valueSpec,
      sources: branches.map(({ source }) => source),
    }
    const from = branches.map(({ source }) => source.where).join(', ')
    this.sources = [...predicates, undefined].map((predicate, index) => {
      const which = predicate === undefined ? 'the rest' : `branch ${index + 1}`
      return new BranchSource(`${which} of branch() over ${from}`, origin)
    })
  }

  /** Begins to take events. */
  start(): void {
    const { errors, loops, branches } = this.#options
    const last: StreamStep = { changesValue: false, run: (event) => this.#route(event, 0) }
    const reader = new StreamReader({
      errors,
      branches: branches.map(({ source, steps }) => ({ source, steps: [...steps, last] })),
      run: loops,
      isLoop: false,
    })
    this.#reader = reader
    for (const { source } of branches) {
      source.onDrain = () => {
        reader.pipeline.requeue()
        for (const each of this.sources) each.onDrain()
      }
      source.onWanted = () => {
        reader.pipeline.handOnWanted()
        for (const each of this.sources) each.onWanted()
      }
    }
    const reading = errors.context.storage.run(new BetweenEvents(errors.context), async () => {
      // Its last step gives every event to a branch, so `next` resolves only at the end.
      await reader.next()
    })
    reading.then(
      () => this.#close(),
      (thrown: unknown) => errors.stop(toError(thrown)),
    )
  }

  /** The run is over: events on their way to a branch are given back. */
  end(): void {
    this.#ended = true
    this.#reader?.close()
    for (const source of this.sources) source.end()
  }

  #close(): void {
    if (!this.#ended) for (const source of this.sources) source.close()
  }

  #route(event: StreamEvent, from: number): StepResult | Promise<StepResult> {
    const { predicates } = this.#options
    let at = from
    for (; at < predicates.length; at++) {
      const holds = predicates[at]?.(event.current)
      if (isPromiseLike(holds)) {
        const here = at
        return Promise.resolve(holds).then((held) => (held ? this.#give(event, here) : this.#route(event, here + 1)))
      }
      if (holds) break
    }
    return this.#give(event, at)
  }

  #give(event: StreamEvent, at: number): undefined | Promise<undefined> {
    const source = this.sources[at]
    if (!this.#ended && source !== undefined) return source.put(event)
    event.requeue()
    return undefined
  }
}

/** One branch: events that its reader takes, one at a time. */
export class BranchSource implements EventSource {
  readonly where: string
  readonly branch: BranchOrigin
  onDrain: () => void = () => {}
  onWanted: () => void = () => {}
  readonly #watchers = new Watchers()
  #event: StreamEvent | undefined
  /** Waits until the reader asks for more. */
  #given: Deferred<undefined> | undefined
  #closed = false
  #ended = false

  constructor(where: string, branch: BranchOrigin) {
    this.where = where
    this.branch = branch
  }

  get valueSpec(): CodecSpec | undefined {
    return this.branch.valueSpec
  }

  get keys(): SourceKeys | undefined {
    const { sources } = this.branch
    const [first] = sources
    return sources.length === 1 ? first?.keys : undefined
  }

  get subscriptions(): readonly string[] {
    return this.branch.sources.flatMap(({ subscriptions }) => subscriptions)
  }

  /**
   * After a failed run, the steps of `groupBy` still read its branches until the next run starts or the worker stops.
   */
  get closed(): boolean {
    return this.#closed || (this.#ended && this.branch.sources.every(({ closed }) => closed))
  }

  /** Resolves when its reader is done with the event, or keeps it for later, and asks for more. */
  put(event: StreamEvent): Promise<undefined> {
    this.#event = event
    this.#given = deferred<undefined>()
    this.#watchers.wake()
    return this.#given.promise
  }

  take(): StreamEvent | undefined {
    const event = this.#event
    this.#event = undefined
    if (event === undefined) this.#release()
    return event
  }

  watch(wakeup: Wakeup): void {
    if (this.#event === undefined && !this.closed) this.#watchers.add(wakeup)
    else wakeup.wake()
  }

  /** Ends the input. */
  close(): void {
    this.#closed = true
    this.#watchers.wake()
  }

  /** Its reader, or the run, takes no more. */
  end(): void {
    this.#ended = true
    this.#event?.requeue()
    this.#event = undefined
    this.#release()
    this.#watchers.wake()
  }

  #release(): void {
    this.#given?.resolve(undefined)
    this.#given = undefined
  }
}

/** Whether its values are events, which cannot be sent on. */
export function givesEvents({ source, steps }: Branch): boolean {
  const last = steps.findLast((step) => step.changesValue)
  return last === undefined ? source.branch?.givesEvents === true : last instanceof EventsStep
}

/** @throws `DEFINITION_INVALID` without a predicate, or for an argument that is not one */
export function assertPredicates(predicates: readonly unknown[], agent: string): void {
  const wrong = predicates.findIndex((predicate) => typeof predicate !== 'function')
  if (predicates.length > 0 && wrong < 0) return
  const what = wrong < 0 ? 'without a predicate' : `with ${typeof predicates[wrong]} as predicate ${wrong + 1}`
  throw new MillraceError(
    'DEFINITION_INVALID',
    `Agent "${agent}" calls branch() ${what}: give it functions of a value.`,
  )
}

/** An event for a branch without a reader would wait for ever, and all others behind it. */
export function withoutEnd({ where }: EventSource, agent: string): MillraceError {
  return new MillraceError(
    'DEFINITION_INVALID',
    `Agent "${agent}" gives ${where} no end before its first await, so that its events would wait for ever: read all branches at once, as in await Promise.all([paid.forEach(ship), rest.to()]), where to() with nothing drops what is not wanted.`,
  )
}
