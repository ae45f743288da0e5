import {
  type CommitOffset,
  isMillraceError,
  MillraceError,
  type OutgoingRecord,
  partitionKey,
  type TopicPartition,
} from '@millrace/core'
import type { SendOptions, SendOutcome, TransactionalProducer } from '@millrace/core/driver'
import { request, type SimulatedWire } from './simulated-wire.ts'

/** A transactional producer whose commits end in an error now and then, and nobody knows whether they counted. */
export class SimulatedTransaction implements TransactionalProducer {
  readonly #wire: SimulatedWire
  readonly #inner: TransactionalProducer
  readonly #id: string
  readonly #timeoutMs: number
  #begunMs: number | undefined
  #timedOut = false
  #records: OutgoingRecord[] = []
  #offsets: CommitOffset[] = []

  constructor(
    wire: SimulatedWire,
    inner: TransactionalProducer,
    { id, timeoutMs }: { readonly id: string; readonly timeoutMs: number },
  ) {
    this.#wire = wire
    this.#inner = inner
    this.#id = id
    this.#timeoutMs = timeoutMs
  }

  init(): Promise<void> {
    this.#wire.initialising(this.#id)
    return request(this.#wire, `init ${this.#id}`, () => this.#inner.init())
  }

  begin(): Promise<void> {
    return this.#telling(`begin ${this.#id}`, async () => {
      this.#records = []
      this.#offsets = []
      this.#mustBeOpen()
      await this.#inner.begin()
      this.#begunMs = this.#wire.monotonic()
    })
  }

  partitions(topic: string): Promise<number> {
    return request(this.#wire, `partitions of ${topic}`, () => this.#inner.partitions(topic))
  }

  brokerOf(partition: TopicPartition): number {
    return this.#inner.brokerOf(partition)
  }

  send(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]> {
    return this.#telling(`send ${this.#id}`, async () => {
      this.#mustBeOpen()
      const outcomes: SendOutcome[] = []
      const waits = new Map<string, OutgoingRecord[]>()
      const taken: OutgoingRecord[] = []
      for (const record of records) {
        const isStuck = options.onDelayed !== undefined && this.#wire.healed(record) !== undefined
        if (!isStuck) taken.push(record)
        else waits.set(partitionKey(record), [...(waits.get(partitionKey(record)) ?? []), record])
      }
      for (const late of waits.values()) this.#delay(late, options)
      const answers = await this.#store(taken, options)
      let next = 0
      records.forEach((record, nth) => {
        const answer = waits.has(partitionKey(record)) ? undefined : answers[next++]
        if (answer !== undefined) outcomes[nth] = answer
      })
      return outcomes
    })
  }

  /** The partition takes these later, and all else at once. */
  #delay(records: readonly OutgoingRecord[], { guard, onDelayed }: SendOptions): void {
    const [first] = records
    if (first === undefined || onDelayed === undefined) return
    const { topic, partition } = first
    const outcomes = (async () => {
      await this.#wire.healed(first)
      return this.#telling(`late send ${this.#id}`, async () => {
        this.#mustBeOpen()
        return this.#store(records, { guard })
      })
    })()
    // Whoever asked hears of it; nobody does any more in a worker that is dead.
    outcomes.catch(() => {})
    this.#wire.note(`${topic}-${partition} takes nothing`)
    onDelayed({ topic, partition, reason: 'Too few replicas, in a simulation.', outcomes })
  }

  async #store(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]> {
    const outcomes = await this.#inner.send(records, options)
    this.#records.push(...records.filter((_, nth) => outcomes[nth]?.ok === true))
    return outcomes
  }

  sendOffsets(groupId: string, offsets: readonly CommitOffset[]): Promise<void> {
    return this.#telling(`send offsets ${this.#id}`, async () => {
      this.#mustBeOpen()
      await this.#inner.sendOffsets(groupId, offsets)
      // Not those of a producer that is fenced: the task may have been opened again since.
      this.#wire.committing(offsets)
      this.#offsets.push(...offsets)
    })
  }

  commit(): Promise<void> {
    const { random, faults, happened } = this.#wire
    return this.#telling(`commit ${this.#id}`, async () => {
      this.#mustBeOpen()
      this.#begunMs = undefined
      const failing = random.chance(faults().commitErrors)
      if (failing) happened('commitErrors')
      if (!failing || random.chance(0.5)) {
        await this.#inner.commit()
        this.#wire.stored(this.#records)
        for (const { topic, partition, offset } of this.#offsets)
          this.#wire.note(`committed ${topic}-${partition}@${offset}`)
      }
      if (failing)
        throw new MillraceError('PRODUCER_FENCED', `The commit of "${this.#id}" has failed, in a simulation.`)
    })
  }

  abort(): Promise<void> {
    return request(this.#wire, `abort ${this.#id}`, async () => {
      this.#begunMs = undefined
      await this.#inner.abort()
    })
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #telling<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await request(this.#wire, what, call)
    } catch (thrown) {
      if (isMillraceError(thrown, 'PRODUCER_FENCED')) this.#wire.fenced(this.#id)
      throw thrown
    }
  }

  /** The coordinator gives up a transaction that has been open for too long, and its producer with it. */
  #mustBeOpen(): void {
    const { monotonic, happened } = this.#wire
    if (!this.#timedOut && this.#begunMs !== undefined && monotonic() - this.#begunMs >= this.#timeoutMs) {
      this.#timedOut = true
      happened('transactionTimeouts')
    }
    if (this.#timedOut)
      throw new MillraceError('PRODUCER_FENCED', `The transaction of "${this.#id}" has timed out, in a simulation.`)
  }
}
