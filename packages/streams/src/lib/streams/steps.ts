import { type CodecSpec, MillraceError } from '@millrace/core'
import type { Event } from '../events/event.ts'
import type { StreamEvent } from '../events/stream-event.ts'
import { deliverTo, type Sink } from '../events/targets.ts'
import type { AnyTopic } from '../topics/topic.ts'
import { isPromiseLike, ManyValues, type StreamStep, type StepResult, whenDone } from './stream-step.ts'

/**
 * Converts the result of `flatMap`: a list, a set, a generator, or anything `for await` reads; not text, which is a
 * list of letters only by accident.
 */
export type ValuesOf<U> = (Iterable<U> | AsyncIterable<U>) & object

export function mapStep<V, U>(fn: (value: V) => U | Promise<U>): StreamStep {
  return {
    changesValue: true,
    run(event) {
      const result = fn(event.current as V)
      if (isPromiseLike(result)) return whenDone(result, (value) => withValue(event, value))
      return withValue(event, result)
    },
  }
}

export function flatMapStep<V, U>(fn: (value: V) => ValuesOf<U> | Promise<ValuesOf<U>>, agent: string): StreamStep {
  const spread = (event: StreamEvent, values: unknown): ManyValues => {
    const iterator = iteratorOf(values)
    if (iterator !== undefined) return new ManyValues(event, iterator)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The function that agent "${agent}" gives to flatMap() gave ${typeof values === 'string' ? 'text' : String(values)} for an event, and not a list of values.`,
    )
  }
  return {
    changesValue: true,
    spreads: true,
    run(event) {
      const result = fn(event.current as V)
      if (isPromiseLike(result)) return whenDone(result, (values) => spread(event, values))
      return spread(event, result)
    },
  }
}

export function filterStep<V>(fn: (value: V) => unknown): StreamStep {
  return {
    changesValue: false,
    run(event) {
      const result = fn(event.current as V)
      if (isPromiseLike(result)) return whenDone(result, (kept) => keepIf(kept, event))
      return keepIf(result, event)
    },
  }
}

export function tapStep<V>(fn: (value: V) => unknown): StreamStep {
  return {
    changesValue: false,
    run: (event) => whenDone(fn(event.current as V), () => event),
  }
}

export function echoStep<V>(sinks: readonly Sink<V>[]): StreamStep {
  return {
    changesValue: false,
    run(event) {
      const value = event.current as V
      const pending = sinks.map((sink) => deliverTo(sink, value, event)).filter(isPromiseLike)
      return pending.length === 0 ? event : Promise.all(pending).then(() => event)
    },
  }
}

export function enumerateStep(start: number): StreamStep {
  let next = start
  return {
    changesValue: true,
    run: (event) => withValue(event, [next++, event.current]),
  }
}

export function itemsStep(): StreamStep {
  return {
    changesValue: true,
    run: (event) => withValue(event, [event.key, event.current]),
  }
}

/** `events()`. A class, so that it can be distinguished from other steps: events cannot be sent on as values. */
export class EventsStep implements StreamStep {
  readonly changesValue = true

  run(event: StreamEvent): StreamEvent {
    return event.show()
  }
}

/** From here on events are finished by `event.ack()` only. */
export function noAckStep(): StreamStep {
  return {
    changesValue: false,
    run(event) {
      event.manual = true
      return event
    },
  }
}

export interface GroupSpec {
  readonly keyOf: (value: unknown, event: Event<unknown, unknown>) => unknown
  readonly name: string
  readonly key: CodecSpec
  readonly value: CodecSpec | undefined
  readonly partitions: number | undefined
  /** As of `TopicDeclaration`. */
  readonly sizedAs?: readonly string[] | undefined
  /** What happens to an event for which `keyOf` returns nothing. Default: it fails. */
  readonly withoutKey?: 'send' | 'drop' | undefined
  /** For the log, where nobody has called `groupBy`. */
  readonly why?: string | undefined
}

export interface RepartitionOptions {
  readonly topic: AnyTopic
  /** Whether the bytes of values are passed on unchanged. */
  readonly raw: boolean
  /** `undefined` keeps the key. */
  readonly group: GroupSpec | undefined
}

/** The last step before a topic: the event is sent there as an effect of itself, and is done. */
export function repartitionStep({ topic, raw, group }: RepartitionOptions): StreamStep {
  const send = (event: StreamEvent, key: Buffer | null): StepResult | Promise<StepResult> => {
    const value = raw && event.rawValue !== undefined ? event.rawValue : encodeValue(topic, event.current)
    return whenDone(topic.sendFrom(event, key, value), () => sentOn(event))
  }
  if (group === undefined) return { changesValue: false, run: (event) => send(event, event.inFlight.record.key) }
  const encodeKey = (key: unknown, { agent }: StreamEvent): Buffer => {
    if (key !== null && key !== undefined) return topic.key.encode(key as never)
    throw new MillraceError('KEY_INVALID', `groupBy "${group.name}" of agent "${agent}" got ${String(key)} as a key.`)
  }
  return {
    changesValue: false,
    run(event) {
      const value = event.current
      const shown = event.show()
      // The value is passed on.
      shown.current = value
      const key = group.keyOf(value, shown)
      return whenDone(key, (key) => {
        if ((key !== null && key !== undefined) || group.withoutKey === undefined)
          return send(shown, encodeKey(key, shown))
        if (group.withoutKey === 'send') return send(shown, null)
        shown.done()
        return undefined
      })
    },
  }
}

function encodeValue(topic: AnyTopic, value: unknown): Buffer | null {
  return value === null ? null : topic.value.encode(value as never)
}

function sentOn(event: StreamEvent): undefined {
  event.replies?.passOn()
  event.done()
  return undefined
}

function withValue(event: StreamEvent, value: unknown): StreamEvent {
  event.current = value
  event.changed = true
  return event
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

function keepIf(kept: unknown, event: StreamEvent): StreamEvent | undefined {
  if (kept) return event
  event.done()
  return undefined
}
