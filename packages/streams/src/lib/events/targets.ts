import type { RawHeaders } from '@millrace/core'
import type { InFlight } from './in-flight.ts'

/** An event for its targets, to which the event, or a value in its context, is passed on. */
export interface PassedEvent {
  readonly inFlight: InFlight
  /** Headers that are passed on with it. */
  readonly rawHeaders: RawHeaders
  /** The record's bytes; `undefined` for channels, which have none. */
  readonly rawValue: Buffer | null | undefined
  /** The value as left by the operators before `events()`. */
  readonly value: unknown
  /** Whether they have changed it, so that the bytes no longer match. */
  readonly isValueChanged: boolean
}

/** A target of values in the context of an event: a topic, agent or channel. */
export interface ValueTarget<VI> {
  readonly name: string
  /** Passes on a value with key, headers and timestamp of the event; synchronously unless it returns a promise. */
  readonly relay: (value: VI, event: PassedEvent) => unknown
}

/** A target that can take an event unchanged. */
export interface EventTarget {
  readonly name: string
  /** Passes on the event and its value, with unchanged bytes if there are any that still match. */
  readonly forwardFrom: (event: PassedEvent) => unknown
}

/** The target of the yields of an agent and the values of `echo`. */
export type Sink<V> = ValueTarget<V> | ((value: V) => unknown)

/** Delivers one value to a sink. */
export function deliverTo<V>(sink: Sink<V>, value: V, event: PassedEvent): unknown {
  return typeof sink === 'function' ? sink(value) : sink.relay(value, event)
}
