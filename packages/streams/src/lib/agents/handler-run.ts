import { type CodecSpec, MillraceError, type ScopeStorage, toError, type WorkerContext } from '@millrace/core'
import type { AnyChannel } from '../channels/channel.ts'
import { AgentScope } from '../events/agent-scope.ts'
import type { Delivery } from '../events/delivery.ts'
import { Branching, givesEvents, type Predicate, withoutEnd } from '../streams/branching.ts'
import { EventReader } from '../streams/event-reader.ts'
import type { Branch, ReaderHost } from '../streams/reader-host.ts'
import type { Inlet } from '../streams/inlet.ts'
import { type GroupSpec, repartitionStep } from '../streams/repartition-step.ts'
import { Stream, type StreamHost } from '../streams/stream.ts'
import { Turns } from '../streams/wakeup.ts'
import type { AnyTopic } from '../topics/topic.ts'
import type { StreamOpener } from './agent.ts'
import type { FailureRoad } from './failure-road.ts'
import type { HandlingTimes } from './handling-times.ts'

/** A topic of the app's own, and the feed of this instance from it. */
export interface Hop {
  readonly topic: AnyTopic
  readonly inlet: Inlet
}

/** What a run finds in its instance, and what stays there when the run ends. */
export interface RunHost {
  readonly storage: ScopeStorage
  readonly worker: WorkerContext
  readonly agent: string
  readonly road: FailureRoad
  readonly times: HandlingTimes
  readonly sources: readonly Inlet[]
  /** The handler reads its stream. */
  begun(): void
  /** A further source. */
  inlet(source: AnyTopic | AnyChannel): Inlet
  /** A repartition topic; `valueSpec` as its values are encoded. */
  repartition(spec: GroupSpec, valueSpec: CodecSpec): Hop
  /** A topic of the user's to read behind `through`. */
  passage(topic: AnyTopic): Inlet
  /** Keeps events going through these steps, whatever becomes of the run. */
  pump(id: string, branches: readonly Branch[]): void
}

/** One run of a handler, from its start to its end or its error, and what it has in hand. */
export class HandlerRun implements StreamHost, ReaderHost, StreamOpener {
  /** The scope that the handler is in. */
  scope: AgentScope
  readonly #host: RunHost
  readonly #readers: EventReader[] = []
  /** Handed out under `noAck()`. */
  readonly #loose = new Set<Delivery>()
  /** In hand when their loop was left. */
  readonly #left: { readonly delivery: Delivery; readonly reader: EventReader }[] = []
  /** The loop under way over an inlet. */
  readonly #looped = new Map<Inlet, EventReader>()
  /** What reads an inlet: one thing only, or events would be split among them. */
  readonly #pumped = new Map<Inlet, string>()
  readonly #hops = new Set<string>()
  readonly #branchings: Branching[] = []
  #turns: Turns | undefined
  #ended = false

  constructor(host: RunHost) {
    this.#host = host
    this.scope = new AgentScope(host.worker, host.agent, undefined)
  }

  get storage(): ScopeStorage {
    return this.#host.storage
  }

  get worker(): WorkerContext {
    return this.#host.worker
  }

  get agent(): string {
    return this.#host.agent
  }

  get times(): HandlingTimes {
    return this.#host.times
  }

  get turns(): Turns | undefined {
    return this.#turns
  }

  get over(): boolean {
    return this.#ended || this.#host.road.stopped
  }

  open<K, V>(): Stream<K, V> {
    return new Stream<K, V>(
      this,
      this.#host.sources.map((inlet) => ({ inlet, steps: [] })),
    )
  }

  read(branches: readonly Branch[]): EventReader {
    return this.#orStop(() => {
      for (const { inlet } of branches) this.#assertUnread(inlet)
      const reader = new EventReader(this, branches)
      for (const { inlet } of branches) this.#looped.set(inlet, reader)
      this.#readers.push(reader)
      this.#host.begun()
      return reader
    })
  }

  left(reader: EventReader): void {
    for (const [inlet, by] of this.#looped) if (by === reader) this.#looped.delete(inlet)
    const delivery = reader.leave()
    if (delivery !== undefined) this.#left.push({ delivery, reader })
  }

  inlet(source: AnyTopic | AnyChannel): Inlet {
    return this.#orStop(() => this.#host.inlet(source))
  }

  regroup(branches: readonly Branch[], spec: GroupSpec): Inlet {
    return this.#orStop(() => this.#regroup(branches, spec))
  }

  sendThrough(branches: readonly Branch[], topic: AnyTopic): Inlet {
    return this.#orStop(() => this.#sendThrough(branches, topic))
  }

  branch(branches: readonly Branch[], predicates: readonly Predicate[]): readonly Inlet[] {
    return this.#orStop(() => this.#branch(branches, predicates))
  }

  entered(scope: AgentScope): void {
    this.scope = scope
  }

  asked(): void {
    if (this.#left.length === 0) return
    for (const { delivery, reader } of this.#left.splice(0)) {
      this.#passed(delivery)
      this.#turns?.end(reader.wakeup)
    }
  }

  loosed(delivery: Delivery): void {
    delivery.loose = this.#loose
    this.#loose.add(delivery)
  }

  failed(delivery: Delivery, error: unknown): Promise<void> {
    return this.#host.road.settle(delivery, error)
  }

  /** The run hands out nothing more. */
  end(): void {
    this.#ended = true
  }

  /**
   * Gives back all that is in hand but the event whose fault the error is: the one whose `run(fn)` failed with it, else
   * the one handed out last.
   */
  settleAll(error: unknown): Delivery | undefined {
    this.#ended = true
    const left = this.#left.map(({ delivery }) => delivery)
    const inHand = [...this.#loose, ...left, ...this.#readers.map((reader) => reader.current)].filter(isInHand)
    const latest = this.scope.delivery
    const culprit =
      inHand.find((delivery) => error !== undefined && delivery.failedWith(error)) ??
      inHand.find((delivery) => delivery === latest) ??
      inHand.at(-1)
    for (const reader of this.#readers) reader.close()
    for (const branching of this.#branchings) branching.end()
    this.#turns?.close()
    for (const delivery of inHand.toReversed()) if (delivery !== culprit) delivery.putBack()
    return culprit
  }

  /** Its loop was left, and the next one has begun. */
  #passed(delivery: Delivery): void {
    if (!delivery.isPartial) return delivery.finish()
    const { topic, partition, offset } = delivery
    delivery.putBack()
    this.#host.road.stop(
      new MillraceError(
        'DEFINITION_INVALID',
        `Agent "${this.agent}" left its loop while ${topic}/${partition} at offset ${offset} had more values to give from flatMap(), and began another loop: take all values of an event in one loop, or what is left of them would be lost.`,
      ),
    )
  }

  #branch(branches: readonly Branch[], predicates: readonly Predicate[]): readonly Inlet[] {
    for (const { inlet } of branches) this.#assertUnread(inlet)
    const { road } = this.#host
    const onError = (error: Error): void => road.stop(error)
    const branching = new Branching({ host: this, branches, predicates, valueSpec: rawSpec(branches), onError })
    for (const { inlet } of branches) this.#pumped.set(inlet, 'branch()')
    this.#turns ??= new Turns()
    this.#branchings.push(branching)
    // By then the handler waits, or has failed by itself.
    setImmediate(() => {
      if (this.over) return
      const without = branching.inlets.find((inlet) => !this.#looped.has(inlet) && !this.#pumped.has(inlet))
      if (without === undefined) return branching.start()
      road.stop(withoutEnd(without, this.agent))
      branching.end()
    })
    return branching.inlets
  }

  #regroup(branches: readonly Branch[], spec: GroupSpec): Inlet {
    const step = `groupBy "${spec.name}"`
    const raw = rawSpec(branches)
    const keepsBytes = raw !== undefined && (spec.value === undefined || spec.value === raw)
    this.#assertHop(branches, step)
    const { topic, inlet } = this.#host.repartition(spec, keepsBytes ? raw : (spec.value ?? 'json'))
    this.#pump(step, branches, repartitionStep({ host: this, topic, raw: keepsBytes, group: spec }))
    return inlet
  }

  #sendThrough(branches: readonly Branch[], topic: AnyTopic): Inlet {
    const step = `through "${topic.name}"`
    this.#assertHop(branches, step)
    const inlet = this.#host.passage(topic)
    const keepsBytes = rawSpec(branches) === topic.valueSpec
    this.#pump(step, branches, repartitionStep({ host: this, topic, raw: keepsBytes, group: undefined }))
    return inlet
  }

  /** How a handler uses its stream is the same for each event: a mistake there is no fault of the one in hand. */
  #orStop<T>(use: () => T): T {
    try {
      return use()
    } catch (error) {
      this.#host.road.stop(toError(error))
      throw error
    }
  }

  #pump(step: string, branches: readonly Branch[], last: Branch['steps'][number]): void {
    for (const { inlet } of branches) this.#pumped.set(inlet, step)
    this.#host.pump(
      step,
      branches.map(({ inlet, steps }) => ({ inlet, steps: [...steps, last] })),
    )
  }

  #assertHop(branches: readonly Branch[], step: string): void {
    if (this.#hops.has(step))
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Agent "${this.agent}" calls ${step} twice: give each a name of its own.`,
      )
    for (const branch of branches) {
      this.#assertFree(branch.inlet)
      if (givesEvents(branch))
        throw new MillraceError(
          'DEFINITION_INVALID',
          `Agent "${this.agent}" calls events() before ${step}: call it afterwards.`,
        )
    }
    this.#hops.add(step)
  }

  #assertUnread(inlet: Inlet): void {
    this.#assertFree(inlet)
    if (!this.#looped.has(inlet)) return
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${this.agent}" begins a second loop over ${inlet.where} while the first still runs; each event would go to one of them. Loop once, and use echo() or another agent for what else is to be done with each event.`,
    )
  }

  #assertFree(inlet: Inlet): void {
    const step = this.#pumped.get(inlet)
    if (step === undefined) return
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${this.agent}" reads ${inlet.where}, whose events go through ${step} already.`,
    )
  }
}

/** The one spec of the values' bytes, where no step has changed them. */
function rawSpec(branches: readonly Branch[]): CodecSpec | undefined {
  const specs = new Set(branches.map(({ inlet }) => inlet.valueSpec))
  if (specs.size !== 1 || branches.some(({ steps }) => steps.some((step) => step.changesValue))) return undefined
  return branches[0]?.inlet.valueSpec
}

function isInHand(delivery: Delivery | undefined): delivery is Delivery {
  return delivery !== undefined && !delivery.over
}
