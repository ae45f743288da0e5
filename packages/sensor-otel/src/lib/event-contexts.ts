import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import type { ContextManager } from '@opentelemetry/api'
import { type Context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { EventSpan } from './event-span.ts'

/** A context set by `with`, and the event that was current at that time. */
interface Entered {
  readonly context: Context
  readonly event: EventSpan | undefined
}

/**
 * Keeps the context set by `with` active until the code reaches another event. An agent's loop moves from event to
 * event without a function that could be passed to `with`, so it is asked for its current event.
 */
export class EventContexts implements ContextManager {
  readonly #entered = new AsyncLocalStorage<Entered>()
  readonly #current: () => EventSpan | undefined
  readonly #bound = new WeakSet<EventEmitter>()
  #enabled = false

  constructor(current: () => EventSpan | undefined) {
    this.#current = current
  }

  /** Whether OpenTelemetry uses this context manager. */
  get enabled(): boolean {
    return this.#enabled
  }

  active(): Context {
    const entered = this.#entered.getStore()
    const event = this.#current()
    if (entered !== undefined && entered.event === event) return entered.context
    return event?.context ?? entered?.context ?? ROOT_CONTEXT
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#entered.run({ context, event: this.#current() }, () => fn.call(thisArg, ...args))
  }

  bind<T>(context: Context, target: T): T {
    if (target instanceof EventEmitter) this.#bindEmitter(context, target)
    return typeof target === 'function' ? this.#bindFunction(context, target) : target
  }

  enable(): this {
    this.#enabled = true
    return this
  }

  disable(): this {
    this.#enabled = false
    this.#entered.disable()
    return this
  }

  #bindFunction<F extends Function>(context: Context, target: F): F {
    const run = (call: () => unknown): unknown => this.with(context, call)
    return new Proxy(target, { apply: (fn, self, args) => run(() => Reflect.apply(fn, self, args)) })
  }

  /** An emitter's listeners run in the context in which it was first bound. */
  #bindEmitter(context: Context, emitter: EventEmitter): void {
    if (this.#bound.has(emitter)) return
    this.#bound.add(emitter)
    const { emit } = emitter
    emitter.emit = (name, ...args) => this.with(context, () => emit.call(emitter, name, ...args))
  }
}
