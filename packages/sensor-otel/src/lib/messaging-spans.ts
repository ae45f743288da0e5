import { type Attributes, type SpanOptions, SpanKind } from '@opentelemetry/api'
import type { TracedEvent, TracedSend } from '@millrace/core'

/** How a span begins. */
export interface SpanBeginning {
  readonly name: string
  /** Attributes that the sampler may see. */
  readonly options: SpanOptions
}

/**
 * The initial names and attributes of spans for events and sends, by the conventions for messaging. Created once for
 * each agent and partition and each target topic: most events are not sampled, and should not cost a new object.
 */
export class MessagingSpans {
  readonly #processes = new Map<string, SpanBeginning>()
  readonly #sends = new Map<string, SpanBeginning>()

  process(event: TracedEvent): SpanBeginning {
    const { topic, partition, agent, worker, app, isChannel } = event
    const key = `${worker} ${agent} ${isChannel} ${topic} ${partition}`
    const known = this.#processes.get(key)
    if (known !== undefined) return known
    const attributes: Attributes = {
      ...messaging(topic, isChannel),
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.partition.id': String(partition),
      'messaging.consumer.group.name': app,
      'messaging.client.id': worker,
      'millrace.agent': agent,
    }
    const made = { name: `process ${topic}`, options: { kind: SpanKind.CONSUMER, attributes } }
    this.#processes.set(key, made)
    return made
  }

  send({ topic, isChannel = false, asks }: TracedSend): SpanBeginning {
    const key = `${topic} ${isChannel} ${asks}`
    const known = this.#sends.get(key)
    if (known !== undefined) return known
    const attributes: Attributes = {
      ...messaging(topic, isChannel),
      'messaging.operation.name': asks === undefined ? 'send' : 'ask',
      'messaging.operation.type': 'send',
    }
    if (asks !== undefined) attributes['millrace.agent'] = asks
    const made =
      asks === undefined
        ? { name: `send ${topic}`, options: { kind: SpanKind.PRODUCER, attributes } }
        : { name: `ask ${asks}`, options: { kind: SpanKind.CLIENT, attributes } }
    this.#sends.set(key, made)
    return made
  }
}

/** A channel is a queue of this process; every other source counts as Kafka, even on the embedded broker. */
function messaging(topic: string, isChannel: boolean): Attributes {
  const system = isChannel ? 'millrace.channel' : 'kafka'
  // The conventions renamed the first attribute to the second, and a backend may know only one of them.
  return { 'messaging.system': system, 'messaging.system.name': system, 'messaging.destination.name': topic }
}
