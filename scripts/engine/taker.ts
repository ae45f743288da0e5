import type {
  HandedOutEvent,
  StateDefinition,
  SubscriptionQueue,
  Topology,
  WorkerContext,
  WorkerPart,
} from '@millrace/worker'
import type { Engine } from './engine.ts'

export interface TakerOptions {
  /** Of the topic, and with it of the states. Default 1. */
  readonly partitions?: number
  /** `Codec.name` of the topic's keys. Default `string`. */
  readonly keyCodec?: string | undefined
  /** What its tasks keep. */
  readonly states?: readonly StateDefinition[]
  /** Its instances, each of which takes what it likes. Default 1. */
  readonly instances?: number
}

/**
 * A part that reads topic `in` as agent `agent`, without a handler: a test takes each event, works with it and ends it.
 *
 * @example
 * const taker = new Taker(engine, { states: [table] })
 * await engine.start(taker)
 * const event = await taker.next()
 * event.finish()
 */
export class Taker implements WorkerPart {
  readonly name = 'taker'
  readonly #engine: Engine
  readonly #options: TakerOptions
  #queues: readonly SubscriptionQueue[] = []

  constructor(engine: Engine, options: TakerOptions = {}) {
    this.#engine = engine
    this.#options = options
  }

  declare(_: WorkerContext, topology: Topology): void {
    const { partitions = 1, keyCodec = 'string', states = [], instances = 1 } = this.#options
    topology.topic({ name: 'in', partitions, config: {}, create: true, internal: false, keyCodec })
    for (const state of states) topology.state(state)
    this.#queues = topology.subscribe({ id: 'agent', topics: ['in'], agent: 'agent', instances, ordering: 'none' })
  }

  async start(): Promise<void> {}

  ready(): void {}

  async stop(): Promise<void> {}

  /** Writes records to the topic, with these keys and without a value. */
  async put(keys: readonly string[], partition?: number): Promise<void> {
    const records = keys.map((key) => ({ topic: 'in', key: Buffer.from(key), value: Buffer.from('value'), partition }))
    await Promise.all(records.map((record) => this.#engine.produce(record)))
  }

  /** The next event that is handed out to an instance; waited for. */
  async next(instance = 0): Promise<HandedOutEvent> {
    let event: HandedOutEvent | undefined
    await this.#engine.until('an event is handed out', () => (event = this.#queues[instance]?.take()) !== undefined)
    if (event === undefined) throw new Error('There is no event.')
    return event
  }
}
