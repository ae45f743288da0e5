import { deferred, type Deferred, type CodecSpec, MillraceError, toError } from '@millrace/core'
import { AgentScope } from '../events/agent-scope.ts'
import type { Delivery } from '../events/delivery.ts'
import { EventReader } from './event-reader.ts'
import type { BranchOrigin, Inlet } from './inlet.ts'
import { EventsStep } from './plain-steps.ts'
import type { Branch, ReaderHost } from './reader-host.ts'
import { isPromiseLike, type Step, type StepResult } from './step.ts'
import type { Wakeup } from './wakeup.ts'

/** Says whether a value belongs to a branch. */
export type Predicate = (value: unknown) => unknown

export interface BranchingOptions {
  /** Of the run that has called `branch()`. */
  readonly host: ReaderHost
  readonly branches: readonly Branch[]
  readonly predicates: readonly Predicate[]
  readonly valueSpec: CodecSpec | undefined
  /** Reading has failed for a reason that is no event's. */
  readonly onError: (error: Error) => void
}

/**
 * `branch()`: takes events through the steps before it, and gives each to the branch whose predicate is the first to hold.
 * The next one is taken when that branch asks for more, so that the events of a key keep their order across branches.
 */
export class Branching {
  readonly inlets: readonly BranchInlet[]
  readonly #options: BranchingOptions
  #reader: EventReader | undefined
  #ended = false

  constructor(options: BranchingOptions) {
    this.#options = options
    const { branches, predicates, valueSpec } = options
    const origin: BranchOrigin = {
      givesEvents: branches.some(givesEvents),
      spreads: branches.some(
        ({ inlet, steps }) => inlet.branch?.spreads === true || steps.some((step) => step.spreads),
      ),
      valueSpec,
      sources: branches.map(({ inlet }) => inlet),
    }
    const from = branches.map(({ inlet }) => inlet.where).join(', ')
    this.inlets = [...predicates, undefined].map((predicate, index) => {
      const which = predicate === undefined ? 'the rest' : `branch ${index + 1}`
      return new BranchInlet(`${which} of branch() over ${from}`, origin)
    })
  }

  /** Begins to take events. */
  start(): void {
    const { host, branches, onError } = this.#options
    const { storage, worker, agent } = host
    const last: Step = { changesValue: false, run: (delivery) => this.#route(delivery, 0) }
    const reader = new EventReader(
      {
        storage,
        worker,
        agent,
        get over() {
          return host.over
        },
        times: undefined,
        turns: undefined,
        entered: () => {},
        asked: () => {},
        loosed: (delivery) => delivery.putBack(),
        failed: (delivery, error) => host.failed(delivery, error),
      },
      branches.map(({ inlet, steps }) => ({ inlet, steps: [...steps, last] })),
    )
    this.#reader = reader
    for (const { inlet } of branches) {
      inlet.onDrain = () => {
        reader.putBack()
        for (const each of this.inlets) each.onDrain()
      }
      inlet.onWanted = () => {
        reader.handOnWanted()
        for (const each of this.inlets) each.onWanted()
      }
    }
    const reading = storage.run(new AgentScope(worker, agent, undefined), async () => {
      // Its last step gives every event to a branch: it resolves at the end only.
      await reader.next()
    })
    reading.then(
      () => this.#close(),
      (thrown: unknown) => onError(toError(thrown)),
    )
  }

  /** The run is over: what is on its way to a branch is given back. */
  end(): void {
    this.#ended = true
    this.#reader?.close()
    for (const inlet of this.inlets) inlet.end()
  }

  #close(): void {
    if (!this.#ended) for (const inlet of this.inlets) inlet.close()
  }

  #route(delivery: Delivery, from: number): StepResult | Promise<StepResult> {
    const { predicates } = this.#options
    let at = from
    for (; at < predicates.length; at++) {
      const holds = predicates[at]?.(delivery.value)
      if (isPromiseLike(holds)) {
        const here = at
        return Promise.resolve(holds).then((held) =>
          held ? this.#give(delivery, here) : this.#route(delivery, here + 1),
        )
      }
      if (holds) break
    }
    return this.#give(delivery, at)
  }

  #give(delivery: Delivery, at: number): undefined | Promise<undefined> {
    const inlet = this.inlets[at]
    if (!this.#ended && inlet !== undefined) return inlet.put(delivery)
    delivery.putBack()
    return undefined
  }
}

/** One branch: events that its reader takes, one at a time. */
export class BranchInlet implements Inlet {
  readonly where: string
  readonly branch: BranchOrigin
  onDrain: () => void = () => {}
  onWanted: () => void = () => {}
  readonly #watchers = new Set<Wakeup>()
  #delivery: Delivery | undefined
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

  /** What a run has left that failed is read by the steps of `groupBy` until the next run comes, or the worker stops. */
  get closed(): boolean {
    return this.#closed || (this.#ended && this.branch.sources.every(({ closed }) => closed))
  }

  /** Resolves when its reader has done with it, or keeps it for later, and asks for more. */
  put(delivery: Delivery): Promise<undefined> {
    this.#delivery = delivery
    this.#given = deferred<undefined>()
    this.#wake()
    return this.#given.promise
  }

  take(): Delivery | undefined {
    const delivery = this.#delivery
    this.#delivery = undefined
    if (delivery === undefined) this.#release()
    return delivery
  }

  watch(wakeup: Wakeup): void {
    if (this.#delivery === undefined && !this.closed) this.#watchers.add(wakeup)
    else wakeup.wake()
  }

  /** Nothing more comes. */
  close(): void {
    this.#closed = true
    this.#wake()
  }

  /** Its reader, or the run, takes nothing more. */
  end(): void {
    this.#ended = true
    this.#delivery?.putBack()
    this.#delivery = undefined
    this.#release()
    this.#wake()
  }

  #release(): void {
    this.#given?.resolve(undefined)
    this.#given = undefined
  }

  #wake(): void {
    const watchers = [...this.#watchers]
    this.#watchers.clear()
    for (const wakeup of watchers) wakeup.wake()
  }
}

/** Whether its values are events, which cannot be sent on. */
export function givesEvents({ inlet, steps }: Branch): boolean {
  const last = steps.findLast((step) => step.changesValue)
  return last === undefined ? inlet.branch?.givesEvents === true : last instanceof EventsStep
}

/** @throws `DEFINITION_INVALID` for no predicate, or what is none */
export function assertPredicates(predicates: readonly unknown[], agent: string): void {
  const wrong = predicates.findIndex((predicate) => typeof predicate !== 'function')
  if (predicates.length > 0 && wrong < 0) return
  const what = wrong < 0 ? 'without a predicate' : `with ${typeof predicates[wrong]} as predicate ${wrong + 1}`
  throw new MillraceError(
    'DEFINITION_INVALID',
    `Agent "${agent}" calls branch() ${what}: give it functions of a value.`,
  )
}

/** An event for a branch that nobody reads would wait for ever, and all others behind it. */
export function withoutEnd({ where }: Inlet, agent: string): MillraceError {
  return new MillraceError(
    'DEFINITION_INVALID',
    `Agent "${agent}" gives ${where} no end before its first await, so that its events would wait for ever: read all branches at once, as in await Promise.all([paid.forEach(ship), rest.to()]), where to() with nothing drops what is not wanted.`,
  )
}
