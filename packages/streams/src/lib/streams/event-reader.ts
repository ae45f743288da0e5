import { isMillraceError } from '@millrace/core'
import type { Timing } from '../agents/handling-times.ts'
import { AgentScope } from '../events/agent-scope.ts'
import { Delivery } from '../events/delivery.ts'
import { Gathers } from './gather-step.ts'
import type { Branch, ReaderHost } from './reader-host.ts'
import { type Rest, Rests } from './rests.ts'
import { Spread, type Step, type StepResult } from './step.ts'
import { type Turns, Wakeup } from './wakeup.ts'

const EMPTY: unique symbol = Symbol('nothing to take')
type Pulled = StepResult | Promise<StepResult> | typeof EMPTY

/**
 * Takes events from inlets, runs the steps over each, and hands out what comes through. Asking for the next one
 * finishes the one before. While events are there and no step has to wait, no promise is made.
 */
export class EventReader {
  readonly #host: ReaderHost
  /** Waits with it, for events and for its turn. */
  readonly wakeup: Wakeup = new Wakeup()
  readonly #turns: Turns | undefined
  #branches: readonly Branch[]
  #gathers: Gathers
  readonly #rests: Rests
  #turn = 0
  #current: Delivery | undefined
  #timing: Timing | undefined
  #scope: AgentScope
  #waiting: Promise<Delivery | undefined> | undefined

  constructor(host: ReaderHost, branches: readonly Branch[]) {
    this.#host = host
    this.#turns = host.turns
    this.#branches = branches
    this.#scope = new AgentScope(host.worker, host.agent, undefined)
    this.#gathers = new Gathers(branches, this.wakeup)
    this.#rests = new Rests(host)
  }

  /** The event that was handed out last, until the next one is asked for. */
  get current(): Delivery | undefined {
    return this.#current
  }

  /** The handler was restarted: events taken from now on go through its new steps. */
  replace(branches: readonly Branch[]): void {
    this.putBack()
    this.#rests.dropAll()
    this.#branches = branches
    this.#gathers = new Gathers(branches, this.wakeup)
    // It may wait for branches that nothing comes from any more.
    this.wakeup.wake()
  }

  /** What `take()` has gathered and somebody waits for is handed out. */
  handOnWanted(): void {
    this.#gathers.handOnWanted()
  }

  /** The run is over, and settles what is in hand: what was gathered is given back, generators of `flatMap` may clean up. */
  close(): void {
    this.putBack()
    this.endTiming()
    this.#rests.close()
  }

  /** Gives back what `take()` has gathered. */
  putBack(): void {
    this.#gathers.putBack()
  }

  /**
   * The user has left the loop. The event stays in hand: whether it was a `break` or an error is not known here. One that
   * has more values to give is partial from then on.
   */
  leave(): Delivery | undefined {
    this.#rests.endEmpty()
    const current = this.#current
    this.#current = undefined
    this.endTiming()
    if (current === undefined) this.#turns?.end(this.wakeup)
    return current
  }

  /** What is being timed will not be finished by asking for the next. */
  endTiming(): void {
    if (this.#timing === undefined) return
    this.#host.times?.drop(this.#timing)
    this.#timing = undefined
  }

  /** The next event, `undefined` at the end, or a promise of either when it has to wait. */
  next(): Delivery | undefined | Promise<Delivery | undefined> {
    if (this.#waiting !== undefined) return this.#waiting.then(() => this.next())
    this.#host.asked()
    const current = this.#current
    if (current !== undefined) {
      this.#current = undefined
      if (this.#timing !== undefined) this.#timed(this.#timing, current)
      current.valueDone()
    }
    this.#turns?.end(this.wakeup)
    for (;;) {
      const pulled = this.#host.over || this.#turns?.take(this.wakeup) === false ? EMPTY : this.#pull()
      if (pulled === undefined) continue
      if (pulled instanceof Delivery) return this.#handOut(pulled, this.#scope)
      const ended = pulled === EMPTY && (this.#host.over || this.#closed())
      const scope = new AgentScope(this.#host.worker, this.#host.agent, undefined)
      if (ended) this.#end()
      else this.#waiting = this.#wait(pulled, scope)
      // The caller goes on in the scope that is entered here, before its event has come, or without one.
      this.#host.storage.enterWith(scope)
      this.#host.entered(scope)
      return this.#waiting
    }
  }

  async #wait(first: Pulled, scope: AgentScope): Promise<Delivery | undefined> {
    try {
      let pulled = first
      for (;;) {
        if (pulled === EMPTY) {
          if (this.#closed()) return this.#end()
          this.#turns?.end(this.wakeup)
          await this.#untilReady()
        } else if (pulled !== undefined) {
          const delivery = await pulled
          if (delivery instanceof Delivery) return this.#receive(delivery, scope)
        }
        if (this.#host.over) return this.#end()
        pulled = this.#turns?.take(this.wakeup) === false ? EMPTY : this.#pull()
      }
    } finally {
      this.#waiting = undefined
    }
  }

  #receive(delivery: Delivery, scope: AgentScope): Delivery | undefined {
    if (this.#host.over) {
      delivery.putBack()
      return undefined
    }
    if (delivery.manual) this.#host.loosed(delivery)
    else {
      scope.receive(delivery)
      this.#host.entered(scope)
      this.#current = delivery
      if (this.#host.times?.due() === true) this.#time()
    }
    return delivery
  }

  #handOut(delivery: Delivery, scope: AgentScope): Delivery {
    if (!delivery.manual) {
      this.#current = delivery
      if (this.#host.times?.due() === true) this.#time()
      this.#host.entered(scope)
      return delivery
    }
    this.#host.loosed(delivery)
    this.#enter(undefined)
    this.#host.entered(this.#scope)
    return delivery
  }

  #time(): void {
    this.#timing = this.#host.times?.begin(this.#host.worker.clock.monotonic())
  }

  #timed(timing: Timing, { timestamp }: Delivery): void {
    const { clock } = this.#host.worker
    this.#timing = undefined
    this.#host.times?.end(timing, clock.monotonic(), clock.now() - timestamp)
  }

  #pull(): Pulled {
    const gathered = this.#gathers.all.length === 0 ? undefined : this.#gathers.due()
    if (gathered !== undefined) {
      this.#enter(gathered.delivery)
      return this.#advance(gathered.delivery, gathered.steps, gathered.next)
    }
    const rest = this.#rests.innermost
    if (rest !== undefined) return this.#takeFrom(rest)
    const count = this.#branches.length
    for (let i = 0; i < count; i++) {
      const branch = this.#branches[this.#turn]
      this.#turn = this.#turn + 1 >= count ? 0 : this.#turn + 1
      const delivery = branch?.inlet.take()
      if (branch === undefined || delivery === undefined) continue
      this.#enter(delivery)
      return this.#advance(delivery, branch.steps, branch.inlet.branch === undefined ? -1 : 0)
    }
    return EMPTY
  }

  /** The next value of an event that `flatMap` has given several. */
  #takeFrom(rest: Rest): StepResult | Promise<StepResult> {
    const { delivery, steps, next } = rest
    // Finished as a whole, given back or lost meanwhile.
    if (!delivery.open) {
      this.#rests.drop(rest)
      return undefined
    }
    this.#enter(delivery)
    try {
      const has = this.#rests.next(rest)
      if (has === true) return this.#advance(delivery, steps, next)
      return has === false
        ? undefined
        : this.#resume(
            has.then((has) => (has ? delivery : undefined)),
            rest,
          )
    } catch (error) {
      return this.#fail(delivery, error)
    }
  }

  /** Runs the steps from index `from` on; -1 decodes first. */
  #advance(delivery: Delivery, steps: readonly Step[], from: number): StepResult | Promise<StepResult> {
    let at = from
    let moving = delivery
    try {
      if (at < 0) {
        if (moving.isForAnother) {
          moving.leaveToOther()
          return undefined
        }
        const { refused } = moving
        // Decoding may be what has blocked the event loop.
        if (refused !== undefined && isMillraceError(refused, 'EVENT_BLOCKED')) return this.#fail(moving, refused)
        if (!moving.decode()) {
          moving.passOver()
          return undefined
        }
        if (refused !== undefined) return this.#fail(moving, refused)
        at = 0
      }
      for (; at < steps.length; at++) {
        const result = steps[at]?.run(moving)
        if (result === undefined) return undefined
        if (result instanceof Spread) return this.#spread(result, steps, at + 1)
        if (!(result instanceof Delivery)) return this.#resume(result, { delivery: moving, steps, next: at + 1 })
        if (result !== moving) {
          moving = result
          this.#enter(moving)
        }
      }
      return moving
    } catch (error) {
      return this.#fail(moving, error)
    }
  }

  async #resume(
    result: Promise<StepResult>,
    { delivery, steps, next }: { readonly delivery: Delivery; readonly steps: readonly Step[]; readonly next: number },
  ): Promise<StepResult> {
    let moving: StepResult
    try {
      moving = await result
    } catch (error) {
      return await this.#fail(delivery, error)
    }
    if (moving instanceof Spread) return this.#spread(moving, steps, next)
    return moving === undefined ? undefined : await this.#advance(moving, steps, next)
  }

  #spread({ delivery, values }: Spread, steps: readonly Step[], next: number): undefined {
    this.#rests.push({ delivery, values, steps, next })
    return undefined
  }

  async #fail(delivery: Delivery, error: unknown): Promise<undefined> {
    await this.#host.failed(delivery, error)
    return undefined
  }

  #enter(delivery: Delivery | undefined): void {
    this.#scope = new AgentScope(this.#host.worker, this.#host.agent, delivery)
    this.#host.storage.enterWith(this.#scope)
  }

  #closed(): boolean {
    return this.#branches.every(({ inlet }) => inlet.closed)
  }

  #end(): undefined {
    this.putBack()
    this.#rests.dropAll()
    for (const { inlet } of this.#branches) inlet.end?.()
    this.#turns?.end(this.wakeup)
    return undefined
  }

  async #untilReady(): Promise<void> {
    // Woken when it has the turn; before that, what its inlets have is of no use.
    if (this.#turns?.isWaiting(this.wakeup) !== true)
      for (const { inlet } of this.#branches) if (!inlet.closed) inlet.watch(this.wakeup)
    await this.wakeup.wait()
  }
}
