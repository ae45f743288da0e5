import type { Delivery } from '../events/delivery.ts'

/** What values can be passed on to in the course of an event: topics, agents and channels. */
export interface ValueTarget<VI> {
  readonly name: string
  /** Passes on a value with key, headers and timestamp of the event; done at once unless it gives a promise. */
  readonly relay: (value: VI, delivery: Delivery) => void | Promise<void>
}

/** An event to pass on, and its value as the operators have left it. */
export interface ForwardedEvent {
  readonly delivery: Delivery
  readonly value: unknown
  /** The bytes of the record no longer say the same. */
  readonly changed: boolean
}

/** What can take an event as it is. */
export interface EventTarget {
  readonly name: string
  /** Passes on the event, bytes unchanged where there are bytes. */
  readonly forwardFrom: (event: ForwardedEvent) => void | Promise<void>
}

/** Where the yields of an agent and the values of `echo` go. */
export type Sink<V> = ValueTarget<V> | ((value: V) => unknown)

/** What a sink does with one value. */
export function deliverTo<V>(sink: Sink<V>, value: V, delivery: Delivery): unknown {
  return typeof sink === 'function' ? sink(value) : sink.relay(value, delivery)
}
