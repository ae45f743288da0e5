import { NO_HEADERS } from '@millrace/core'
import type { CurrentEvent, SendReceipt } from '@millrace/worker'

/** A topic of the app that receives the changes of a table. */
export interface ChangeTopic<K, V> {
  readonly name: string
  readonly key: { encode(key: K): Buffer }
  readonly value: { encode(value: V): Buffer }
}

interface PendingChange<V> {
  /** As of before the event. */
  readonly before: V | undefined
  readonly receipt: SendReceipt | undefined
}

/** Sends each change of a table to a topic: one record for each event and key, whatever the event does with the key. */
export class ResultTopic<K, V> {
  readonly #topic: ChangeTopic<K, V>
  /** The sends of events in flight, by the latin1 text of the key's bytes. */
  readonly #pending = new WeakMap<CurrentEvent, Map<string, PendingChange<V>>>()

  constructor(topic: ChangeTopic<K, V>) {
    this.#topic = topic
  }

  /** Called when the current event has changed the value of a key from `before` to `after`. */
  changed(
    event: CurrentEvent,
    key: K,
    { before, after }: { readonly before: V | undefined; readonly after: V | undefined },
  ): void {
    const bytes = this.#topic.key.encode(key)
    const name = bytes.toString('latin1')
    const ofEvent = this.#pending.get(event) ?? new Map<string, PendingChange<V>>()
    this.#pending.set(event, ofEvent)
    const known = ofEvent.get(name)
    if (known?.receipt !== undefined) event.withdraw(known.receipt)
    const first = known === undefined ? before : known.before
    // A tombstone is sent only if there was a value.
    const receipt = first === undefined && after === undefined ? undefined : this.#send(event, bytes, after)
    ofEvent.set(name, { before: first, receipt })
  }

  #send(event: CurrentEvent, key: Buffer, value: V | undefined): SendReceipt {
    return event.send({
      topic: this.#topic.name,
      key,
      value: value === undefined ? null : this.#topic.value.encode(value),
      headers: NO_HEADERS,
      timestamp: event.timestamp,
      partition: undefined,
    })
  }
}
