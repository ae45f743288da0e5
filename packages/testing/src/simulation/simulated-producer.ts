import {
  partitionKey,
  type OutgoingRecord,
  type Producer,
  type SendOptions,
  type SendOutcome,
  type TopicPartition,
} from '@millrace/core'
import { request, type SimulatedWire } from './simulated-wire.ts'

/** Sends partition by partition in any order, and some of it twice, as a producer does whose answers get lost. */
export class SimulatedProducer implements Producer {
  readonly #wire: SimulatedWire
  readonly #inner: Producer

  constructor(wire: SimulatedWire, inner: Producer) {
    this.#wire = wire
    this.#inner = inner
  }

  partitions(topic: string): Promise<number> {
    return request(this.#wire, `partitions of ${topic}`, () => this.#inner.partitions(topic))
  }

  lane(partition: TopicPartition): number {
    return this.#inner.lane(partition)
  }

  async send(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]> {
    const { random, hold, happened, faults } = this.#wire
    const outcomes: SendOutcome[] = []
    // All that belongs to one partition stays together: brokers answer for partitions.
    for (const indexes of random.shuffled(byPartition(records))) {
      const part = indexes.flatMap((index) => records[index] ?? [])
      await hold('send')
      let answers = await this.#store(part, options)
      if (random.chance(faults().duplicates)) {
        await hold('lost answer of a send')
        happened('duplicates')
        answers = await this.#store(part, options)
      }
      indexes.forEach((index, nth) => {
        const answer = answers[nth]
        if (answer !== undefined) outcomes[index] = answer
      })
    }
    await hold('send answer')
    return outcomes
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #store(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]> {
    const answers = await this.#inner.send(records, options)
    this.#wire.stored(records.filter((_, nth) => answers[nth]?.ok === true))
    return answers
  }
}

/** The places of each partition's records in a request. */
function byPartition(records: readonly OutgoingRecord[]): readonly (readonly number[])[] {
  const found = new Map<string, number[]>()
  records.forEach((record, index) => {
    const key = partitionKey(record)
    const indexes = found.get(key)
    if (indexes === undefined) found.set(key, [index])
    else indexes.push(index)
  })
  return [...found.values()]
}
