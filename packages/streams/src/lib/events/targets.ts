import type { RawHeaders } from '@millrace/core'
import type { InFlight } from './in-flight.ts'

/** An event as its targets see it: what the event, or a value in its course, is passed on to. */
export interface PassedEvent {
  readonly inFlight: InFlight
  /** Headers that go with it. */
  readonly rawHeaders: RawHeaders
  /** The record's bytes; `undefined` where there are none, in channels. */
  readonly rawValue: Buffer | null | undefined
  /** As the operators before `events()` have left it. */
  readonly value: unknown
  /** They have changed it: the bytes no longer say the same. */
  readonly isValueChanged: boolean
}

/** What values can be passed on to in the course of an event: topics, agents and channels. */
export interface ValueTarget<VI> {
  readonly name: string
  /** Passes on a value with key, headers and timestamp of the event; done at once unless it gives a promise. */
  readonly relay: (value: VI, event: PassedEvent) => unknown
}

/** What can take an event as it is. */
export interface EventTarget {
  readonly name: string
  /** Passes on the event and its value, bytes unchanged where there are bytes that still say the same. */
  readonly forwardFrom: (event: PassedEvent) => unknown
}

/** Where the yields of an agent and the values of `echo` go. */
export type Sink<V> = ValueTarget<V> | ((value: V) => unknown)

/** What a sink does with one value. */
export function deliverTo<V>(sink: Sink<V>, value: V, event: PassedEvent): unknown {
  return typeof sink === 'function' ? sink(value) : sink.relay(value, event)
}
