import { MillraceError, type Scheduled } from '@millrace/core'
import type { ErrorHandling } from '../errors/error-handling.ts'
import { currentEvent } from '../events/between-events.ts'
import type { EventSource } from '../events/source.ts'
import type { StreamEvent } from '../events/stream-event.ts'
import { Branching, type Predicate, withoutEnd } from './branching.ts'
import { type HandlerInstance, HandlerSteps, orStop, rawSpec } from './handler-steps.ts'
import { Loops, LoopTurns } from './loops.ts'
import { StreamReader } from './stream-reader.ts'
import type { Branch } from './stream-step.ts'

/** One run of a handler, from its start to its end or error: the calls on its stream, and its events in flight. */
export class HandlerRun {
  readonly loops: Loops
  readonly steps: HandlerSteps
  /** Whether the handler has begun to read its stream. */
  hasBegun = false
  /** A timer that reports a handler which does not begin to read; cancelled when it does. */
  silence: Scheduled | undefined = undefined
  readonly #instance: HandlerInstance
  readonly #readers: StreamReader[] = []
  /** The loop under way over a source. */
  readonly #looped = new Map<EventSource, StreamReader>()
  readonly #branchings: Branching[] = []

  constructor(instance: HandlerInstance) {
    this.#instance = instance
    this.loops = new Loops(instance.errors)
    this.steps = new HandlerSteps(instance)
  }

  get agent(): string {
    return this.#instance.errors.context.agent
  }

  get errors(): ErrorHandling {
    return this.#instance.errors
  }

  /** Starts a loop of the handler. */
  read<V>(branches: readonly Branch[]): AsyncIterator<V, undefined> {
    return orStop(this.errors, () => {
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

  /** Gives each event to the first branch whose predicate holds; the last branch gets the others. */
  branch(branches: readonly Branch[], predicates: readonly Predicate[]): readonly EventSource[] {
    return orStop(this.errors, () => {
      for (const { source } of branches) this.#assertUnread(source)
      const { loops, errors } = this
      const branching = new Branching({ errors, loops, branches, predicates, valueSpec: rawSpec(branches) })
      for (const { source } of branches) this.steps.take(source, 'branch()')
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
    loops.timeouts?.close()
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
    const without = branching.sources.find((source) => !this.#looped.has(source) && !this.steps.reads(source))
    if (without === undefined) return branching.start()
    this.errors.stop(withoutEnd(without, this.agent))
    branching.end()
  }

  #assertUnread(source: EventSource): void {
    this.steps.assertFree(source)
    if (!this.#looped.has(source)) return
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${this.agent}" begins a second loop over ${source.where} while the first still runs; each event would go to one of them. Loop once, and use echo() or another agent for further work on each event.`,
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

function isInFlight(event: StreamEvent | undefined): event is StreamEvent {
  return event !== undefined && !event.over
}
