import { type CodecSpec, MillraceError } from '@millrace/core'
import type { Delivery } from '../events/delivery.ts'
import { Event, type EventHost } from '../events/event.ts'
import type { AnyTopic } from '../topics/topic.ts'
import { isPromiseLike, type Step, type StepResult } from './step.ts'

export interface GroupSpec {
  readonly keyOf: (value: unknown, event: Event<unknown, unknown>) => unknown
  readonly name: string
  readonly key: CodecSpec
  readonly value: CodecSpec | undefined
  readonly partitions: number | undefined
}

export interface RepartitionOptions {
  readonly host: EventHost
  readonly topic: AnyTopic
  /** The bytes of values are passed on as they are. */
  readonly raw: boolean
  /** `undefined`: the key stays. */
  readonly group: GroupSpec | undefined
}

/** Last step before a topic: the event goes there as an effect of itself, and is done. */
export function repartitionStep({ host, topic, raw, group }: RepartitionOptions): Step {
  const send = (delivery: Delivery, key: Buffer | null): StepResult | Promise<StepResult> => {
    const value = raw && delivery.rawValue !== undefined ? delivery.rawValue : encodeValue(topic, delivery.value)
    const sent = topic.sendFrom(delivery, key, value)
    return sent === undefined ? done(delivery) : sent.then(() => done(delivery))
  }
  if (group === undefined) return { changesValue: false, run: (delivery) => send(delivery, delivery.rawKey) }
  const encodeKey = (key: unknown): Buffer => {
    if (key !== null && key !== undefined) return topic.key.encode(key as never)
    throw new MillraceError(
      'KEY_INVALID',
      `groupBy "${group.name}" of agent "${host.agent}" got ${String(key)} as a key.`,
    )
  }
  return {
    changesValue: false,
    run(delivery) {
      const key = group.keyOf(delivery.value, new Event(host, delivery))
      return isPromiseLike(key)
        ? Promise.resolve(key).then((key) => send(delivery, encodeKey(key)))
        : send(delivery, encodeKey(key))
    },
  }
}

function encodeValue(topic: AnyTopic, value: unknown): Buffer | null {
  return value === null ? null : topic.value.encode(value as never)
}

function done(delivery: Delivery): undefined {
  delivery.passRequestOn()
  delivery.valueDone()
  return undefined
}
