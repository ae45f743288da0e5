import { partitionForKey, type Transport } from '@millrace/core/driver'
import type { SendRequest } from '@millrace/worker'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { SimulatedInput, SimulatedRecord } from './simulation-options.ts'

/** A topic that records can be sent to. */
export interface RequestTopic<K, V> {
  readonly name: string
  request(record: { readonly key: K; readonly value: V }, timestamp: number): SendRequest
}

export interface NumberedOptions<V> {
  /** The total number. Default 60. */
  readonly records?: number
  /** Default 8. */
  readonly keys?: number
  /** The value of the record with this number of its key; `number` counts from 0 for each key. */
  readonly value: (key: string, number: number) => V
}

/**
 * Input of a simulation: records numbered per key, keys in turn.
 *
 * @example
 * simulate(app, { seed: 1, input: numberedRecords(orders, { value: (key, number) => ({ key, number }) }) })
 */
export function numberedRecords<V>(
  topic: RequestTopic<string, V>,
  { records = 60, keys = 8, value }: NumberedOptions<V>,
): () => Iterable<SimulatedInput> {
  return () =>
    Array.from({ length: records }, (_, nth) => {
      const key = `key-${nth % keys}`
      return (nowMs: number) => topic.request({ key, value: value(key, Math.floor(nth / keys)) }, nowMs)
    })
}

/** The input from outside, written directly to the log, so that none of it gets lost. */
export class InputFeed {
  readonly #log: MemoryLog
  readonly #outside: Transport
  readonly #records: Iterator<SimulatedInput>
  readonly #sent: SimulatedRecord[] = []
  #next: SimulatedInput | undefined

  constructor(log: MemoryLog, outside: Transport, inputs: Iterable<SimulatedInput>) {
    this.#log = log
    this.#outside = outside
    this.#records = inputs[Symbol.iterator]()
    this.#advance()
  }

  get sent(): readonly SimulatedRecord[] {
    return this.#sent
  }

  /** Those that records were sent to. */
  get topics(): readonly string[] {
    return [...new Set(this.#sent.map(({ topic }) => topic))]
  }

  get over(): boolean {
    return this.#next === undefined
  }

  /** Sends the next record; `undefined` if its topic does not exist yet, or nothing is left. */
  async send(nowMs: number): Promise<SimulatedRecord | undefined> {
    const request = this.#next?.(nowMs)
    if (request === undefined) return undefined
    const topic = this.#log.topics().find(({ name }) => name === request.topic)
    if (topic === undefined) return undefined
    this.#advance()
    const partition =
      request.partition ??
      (request.key === null ? this.#sent.length % topic.partitions : partitionForKey(request.key, topic.partitions))
    const record = { ...request, partition }
    const producer = this.#outside.producer()
    const [outcome] = await producer.send([record], { guard: () => {} })
    await producer.close()
    if (outcome === undefined || !outcome.ok)
      throw outcome?.error ?? new Error(`Input for ${request.topic} was not stored.`)
    const sent = { ...record, offset: outcome.offset }
    this.#sent.push(sent)
    return sent
  }

  #advance(): void {
    const next = this.#records.next()
    this.#next = next.done === true ? undefined : next.value
  }
}
