import { type OutgoingRecord, partitionKey, type TopicPartition } from '@millrace/core'
import type { Producer, SendOptions, SendOutcome } from '@millrace/core/driver'
import { InterruptedPartition } from './interrupted-partition.ts'
import type { SeededRandom } from './seeded-random.ts'
import { request, type SimulatedWire } from './simulated-wire.ts'

/**
 * Sends partition by partition in any order. Answers get lost, and what is sent again is not stored again, as `Producer`
 * promises.
 */
export class SimulatedProducer implements Producer {
  readonly #wire: SimulatedWire
  readonly #inner: Producer
  readonly #partitions = new Map<string, InterruptedPartition>()
  /** Requests whose answers are not here yet. */
  readonly #requests = new Set<OpenRequest>()

  constructor(wire: SimulatedWire, inner: Producer) {
    this.#wire = wire
    this.#inner = inner
  }

  partitions(topic: string): Promise<number> {
    return request(this.#wire, `partitions of ${topic}`, () => this.#inner.partitions(topic))
  }

  brokerOf(partition: TopicPartition): number {
    return this.#inner.brokerOf(partition)
  }

  async send(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]> {
    const { random, hold, happened, faults } = this.#wire
    const outcomes: SendOutcome[] = []
    // All that belongs to one partition stays together: brokers answer for partitions.
    const parts = random.shuffled(partsOf(records))
    const sending: OpenRequest = { records, parts: new Set(parts), options }
    this.#requests.add(sending)
    try {
      for (const part of parts) {
        await hold('send')
        const answers = await this.#store(part, sending)
        if (random.chance(faults().lostAnswers)) {
          await hold('lost answer of a send')
          happened('lostAnswers')
          // It would be sent again now, and nothing more be stored.
          options.guard()
        }
        part.indexes.forEach((index, nth) => {
          const answer = answers[nth]
          if (answer !== undefined) outcomes[index] = answer
        })
      }
    } catch (error) {
      for (const part of parts) this.#interrupted(part).interrupted(part.records)
      throw error
    } finally {
      this.#requests.delete(sending)
    }
    for (const part of parts) this.#interrupted(part).heard(part.records)
    await hold('send answer')
    return outcomes
  }

  /** The process ends now: of each partition's records that are under way, the broker may have stored the first ones. */
  tear(random: SeededRandom): void {
    for (const { records, parts, options } of this.#requests) {
      let missing = 0
      for (const part of parts) {
        const known = this.#interrupted(part).known(part.records)
        const left = part.records.filter((record) => !known.has(record))
        missing += left.length - this.#storeLast(left.slice(0, random.between(0, left.length)), options)
      }
      if (missing > 0 && missing < records.length) this.#wire.happened('tornSends')
    }
  }

  /** Stores records that the process, which ends now, never hears of. Returns how many: none once the lease is over. */
  #storeLast(records: readonly OutgoingRecord[], options: SendOptions): number {
    let stored = 0
    const guard = (): void => {
      this.#guard(options)
      stored = records.length
    }
    // The log has them before this call returns.
    this.#inner.send(records, { ...options, guard }).catch(() => {})
    this.#wire.stored(records.slice(0, stored))
    return stored
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #store(part: Part, { parts, options }: OpenRequest): Promise<readonly SendOutcome[]> {
    const partition = this.#interrupted(part)
    const known = partition.known(part.records)
    const left = part.records.filter((record) => !known.has(record))
    const guard = (): void => this.#guard(options)
    guard()
    // The process may be suspended here. So the log asks again when it writes, as the embedded log does.
    await this.#wire.turn()
    parts.delete(part)
    const answers = await this.#inner.send(left, { ...options, guard })
    this.#wire.stored(left.filter((_, nth) => answers[nth]?.ok === true))
    let next = 0
    return part.records.flatMap((record) => {
      const answer = known.get(record) ?? answers[next++]
      if (answer !== undefined) partition.stored(record, answer)
      return answer ?? []
    })
  }

  #guard({ guard }: SendOptions): void {
    guard()
    this.#wire.sending()
  }

  #interrupted({ key }: Part): InterruptedPartition {
    const partition = this.#partitions.get(key) ?? new InterruptedPartition(key)
    this.#partitions.set(key, partition)
    return partition
  }
}

interface OpenRequest {
  readonly records: readonly OutgoingRecord[]
  /** What the log does not have yet. */
  readonly parts: Set<Part>
  readonly options: SendOptions
}

/** What goes to one partition. */
interface Part {
  readonly key: string
  readonly indexes: number[]
  readonly records: OutgoingRecord[]
}

function partsOf(records: readonly OutgoingRecord[]): readonly Part[] {
  const found = new Map<string, Part>()
  records.forEach((record, index) => {
    const key = partitionKey(record)
    const part = found.get(key) ?? { key, indexes: [], records: [] }
    found.set(key, part)
    part.indexes.push(index)
    part.records.push(record)
  })
  return [...found.values()]
}
