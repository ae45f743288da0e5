import { MillraceError } from '@millrace/core'
import type { Delivery } from '../events/delivery.ts'
import { Event, type EventHost } from '../events/event.ts'
import { deliverTo, type Sink } from '../topics/value-target.ts'
import { isPromiseLike, Spread, type Step, whenDone } from './step.ts'

/**
 * What `flatMap` makes of a value: a list, a set, a generator, or what `for await` reads; not text, which is a list of letters
 * by accident only.
 */
export type ValuesOf<U> = (Iterable<U> | AsyncIterable<U>) & object

export function mapStep<V, U>(fn: (value: V) => U | Promise<U>): Step {
  return {
    changesValue: true,
    run(delivery) {
      const result = fn(delivery.value as V)
      if (isPromiseLike(result)) return whenDone(result, (value) => withValue(delivery, value))
      return withValue(delivery, result)
    },
  }
}

export function flatMapStep<V, U>(fn: (value: V) => ValuesOf<U> | Promise<ValuesOf<U>>, agent: string): Step {
  const spread = (delivery: Delivery, values: unknown): Spread => {
    const iterator = iteratorOf(values)
    if (iterator !== undefined) return new Spread(delivery, iterator)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The function that agent "${agent}" gives to flatMap() gave ${typeof values === 'string' ? 'text' : String(values)} for an event, and not a list of values.`,
    )
  }
  return {
    changesValue: true,
    spreads: true,
    run(delivery) {
      const result = fn(delivery.value as V)
      if (isPromiseLike(result)) return whenDone(result, (values) => spread(delivery, values))
      return spread(delivery, result)
    },
  }
}

export function filterStep<V>(fn: (value: V) => unknown): Step {
  return {
    changesValue: false,
    run(delivery) {
      const result = fn(delivery.value as V)
      if (isPromiseLike(result)) return whenDone(result, (kept) => keepIf(kept, delivery))
      return keepIf(result, delivery)
    },
  }
}

export function tapStep<V>(fn: (value: V) => unknown): Step {
  return {
    changesValue: false,
    run: (delivery) => whenDone(fn(delivery.value as V), () => delivery),
  }
}

export function echoStep<V>(sinks: readonly Sink<V>[]): Step {
  return {
    changesValue: false,
    run(delivery) {
      const value = delivery.value as V
      const pending = sinks.map((sink) => deliverTo(sink, value, delivery)).filter(isPromiseLike)
      return pending.length === 0 ? delivery : Promise.all(pending).then(() => delivery)
    },
  }
}

export function enumerateStep(start: number): Step {
  let next = start
  return {
    changesValue: true,
    run: (delivery) => withValue(delivery, [next++, delivery.value]),
  }
}

export function itemsStep(): Step {
  return {
    changesValue: true,
    run: (delivery) => withValue(delivery, [delivery.key(), delivery.value]),
  }
}

/** A class, so that it can be told from other steps: events cannot be sent on as values. */
export class EventsStep implements Step {
  readonly changesValue = true
  readonly #host: EventHost

  constructor(host: EventHost) {
    this.#host = host
  }

  run(delivery: Delivery): Delivery {
    return withValue(delivery, new Event(this.#host, delivery))
  }
}

/** From here on events are finished by `event.ack()` only. */
export function noAckStep(): Step {
  return {
    changesValue: false,
    run(delivery) {
      delivery.manual = true
      return delivery
    },
  }
}

function withValue(delivery: Delivery, value: unknown): Delivery {
  delivery.value = value
  delivery.changed = true
  return delivery
}

function iteratorOf(values: unknown): Iterator<unknown> | AsyncIterator<unknown> | undefined {
  if (typeof values !== 'object' || values === null) return undefined
  if (isAsyncIterable(values)) return values[Symbol.asyncIterator]()
  return isIterable(values) ? values[Symbol.iterator]() : undefined
}

function isAsyncIterable(values: object): values is AsyncIterable<unknown> {
  return Symbol.asyncIterator in values && typeof values[Symbol.asyncIterator] === 'function'
}

function isIterable(values: object): values is Iterable<unknown> {
  return Symbol.iterator in values && typeof values[Symbol.iterator] === 'function'
}

function keepIf(kept: unknown, delivery: Delivery): Delivery | undefined {
  if (kept) return delivery
  delivery.valueDone()
  return undefined
}
